from typing import Annotated

from langchain_core.tools import tool
from pydantic import Field

from agents.policy import Declaration, declare
from agents.runtime import registry
from agents.tool_context import current_call


@declare(Declaration(review=None, idempotent=True, plain_result=True))
@tool
def search_memory(query: Annotated[str, Field(min_length=1, max_length=1000)]) -> str:
    """Search what is remembered about the user."""
    call = current_call()
    found = registry.agent(call.agent).memory.recall(call.user_id, call.session_id, query)
    return "\n".join(f"- {memory.text}" for memory in found) or "Nothing is remembered about that."
