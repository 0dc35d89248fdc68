"""Shared state of workers: who does which chore, which processes are alive, and what was counted."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from core.db.clock import Now


class Chore(models.Model):
    """A periodic duty that one worker does at a time: the worker that moves `due_at` on does it."""

    name = models.CharField(max_length=40, primary_key=True)
    due_at = models.DateTimeField(db_default=Now())

    @override
    def __str__(self) -> str:
        return self.name


class WorkerProcess(models.Model):
    """A live worker process. Its heartbeat updates the row."""

    name = models.CharField(_("name"), max_length=200, primary_key=True)
    beat_at = models.DateTimeField(_("last heartbeat"), db_default=Now())
    listened_at = models.DateTimeField(_("last listened to the broker"), null=True, blank=True)

    class Meta:
        verbose_name = _("worker process")
        verbose_name_plural = _("worker processes")

    @override
    def __str__(self) -> str:
        return self.name


class Measure(models.Model):
    """One sum of `metrics` over all worker processes since the service was set up."""

    name = models.CharField(max_length=80)
    labels = models.CharField(max_length=1500)  # canonical JSON of the values; a histogram's row ends with its bucket
    value = models.FloatField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("name", "labels"), name="one_measure_per_name_and_labels"),)

    @override
    def __str__(self) -> str:
        return f"{self.name} {self.labels}"
