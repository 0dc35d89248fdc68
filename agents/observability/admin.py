"""Admin page of worker processes."""

from django.contrib import admin

from agents.models import WorkerProcess
from core.admin_tools import ReadOnly


@admin.register(WorkerProcess)
class WorkerProcessAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("name", "beat_at", "listened_at")
    ordering = ("-beat_at",)
