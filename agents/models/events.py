"""Events of tasks: what clients can watch. Data only: `state.events` appends them."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from typing_extensions import override

from agents.models.tasks import Task
from core.db.clock import Now


class Event(models.Model):
    """Something that happened in a task, stored in the transaction of what it tells. Events live as long as their task.

    `seq` counts from 1 without gaps; `Task.last_seq` is the newest one's.
    """

    class Kind(models.TextChoices):
        STATUS = "status"  # the task has this status now: {status, message?}
        MESSAGE = "message"  # a finished message of the conversation, in the API's form
        TOOL_STARTED = "tool_started"  # a call was entered in the ledger
        TOOL_FINISHED = "tool_finished"  # its row was closed
        INTERRUPT = "interrupt"  # a question waits for an answer
        DECISION = "decision"  # a question was answered
        CUSTOM = "custom"  # what the graph wrote with LangGraph's stream writer

    pk = models.CompositePrimaryKey("task_id", "seq")
    # No index, as the primary key begins with it. No constraint, which PostgreSQL would check with each event: whoever
    # appends one, or deletes the task, holds the task's lock.
    task = models.ForeignKey(Task, models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=16)  # of Kind
    data = models.JSONField(encoder=DjangoJSONEncoder)
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        default_permissions = ()  # whoever may see the task may see them

    @override
    def __str__(self) -> str:
        return f"{self.task_id} {self.seq} {self.kind}"
