"""What other packages register in the admin, put right for this service."""

from django.contrib import admin
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from rest_framework_api_key.models import APIKey

from agents.admin import ReadOnly

# Keys of that model would open nothing: ours, which belong to a user, stand under "Access".
admin.site.unregister(APIKey)
admin.site.unregister(GroupResult)
admin.site.unregister(TaskResult)


@admin.register(TaskResult)
class FailedJobAdmin(ReadOnly, TaskResultAdmin):
    """Jobs that ended in an exception: of those that went well nothing is kept. Nothing to add or change here."""
