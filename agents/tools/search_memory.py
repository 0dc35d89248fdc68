from typing import Annotated

from langchain_core.tools import tool
from pydantic import Field

from agents import registry
from agents.context import current_call
from agents.terms import Declaration, declare


@declare(Declaration(review=None, idempotent=True, plain_result=True))
@tool
def search_memory(query: Annotated[str, Field(min_length=1, max_length=1000)]) -> str:
    """Search what is remembered about the user."""
    call = current_call()
    found = registry.agent(call.agent).memory.recall(call.user_id, call.session_id, query)
    return "\n".join(f"- {memory.text}" for memory in found) or "Nothing is remembered about that."
