import uuid
from typing import Annotated

from django.conf import settings
from langchain_core.tools import tool
from pydantic import Field

from agents.policy import Declaration, declare
from agents.tool_context import current_call
from memory import services as memories
from memory.models import Memory


@declare(Declaration(review=None, idempotent=True, plain_result=True))
@tool
def remember(text: Annotated[str, Field(min_length=1, max_length=4000)]) -> str:
    """Keep a fact about the user for later conversations."""
    call = current_call()
    # Content that a tool brought in from outside must not plant a memory: a person approves it first.
    trusted = not (call.tainted or settings.MEMORY_REVIEW)
    source = Memory.Source.AGENT
    memory = memories.add(call.user_id, text, source=source, source_task_id=uuid.UUID(call.task_pk), trusted=trusted)
    if memory.status == Memory.Status.ACTIVE:
        return f"Remembered: {memory.text}"
    return "Noted. It will be remembered once a person has approved it."
