"""What web and worker processes tell each other about watchers where there is no Redis."""

import uuid

from django.db import models
from typing_extensions import override

from core.db.clock import Now


class Watch(models.Model):
    """A session that somebody watches. Web processes renew it; workers send chunks of text only until it expires."""

    session_id = models.UUIDField(primary_key=True)  # no foreign key: a late renewal must not keep a session
    until = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = "watch"
        verbose_name_plural = "watches"
        default_permissions = ()

    @override
    def __str__(self) -> str:
        return str(self.session_id)


class Chunk(models.Model):
    """A piece of a message that the model is still writing. Deleted when the message is finished."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task_id = models.UUIDField()
    message_id = models.CharField(max_length=200)
    position = models.PositiveIntegerField()  # of its first character in the message's text
    text = models.TextField()
    kind = models.CharField(max_length=16, default="text")
    created_at = models.DateTimeField(db_default=Now(), db_index=True)  # the sweeper deletes what a killed worker left

    class Meta:
        default_permissions = ()
        indexes = (models.Index(fields=("task_id", "message_id", "position"), name="chunk_by_message"),)

    @override
    def __str__(self) -> str:
        return f"{self.message_id} {self.position}"
