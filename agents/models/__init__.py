"""Models of sessions, tasks and what happens in them, one module per noun."""

from agents.models.attempts import Attempt
from agents.models.events import Event
from agents.models.interrupts import NEWEST_FIRST, Interrupt
from agents.models.model_calls import DayUsage, ModelCall
from agents.models.pauses import Pause
from agents.models.sessions import ID_LENGTH, Session
from agents.models.tasks import ACTIVE, FINAL, INTERRUPT, ROLLBACK, UNFINISHED, IdempotencyKey, Status, Task
from agents.models.tool_calls import ToolCall
from agents.models.watching import Chunk, Watch
from agents.models.workers import Chore, Measure, WorkerProcess

__all__ = [
    "ACTIVE",
    "FINAL",
    "ID_LENGTH",
    "INTERRUPT",
    "NEWEST_FIRST",
    "ROLLBACK",
    "UNFINISHED",
    "Attempt",
    "Chore",
    "Chunk",
    "DayUsage",
    "Event",
    "IdempotencyKey",
    "Interrupt",
    "Measure",
    "ModelCall",
    "Pause",
    "Session",
    "Status",
    "Task",
    "ToolCall",
    "Watch",
    "WorkerProcess",
]
