"""Reading of a completed task's stored result without LangChain, which the web process does not load."""

from typing import Any

RETURNED = "returned"  # key of the fields that only endpoints need again


def shown(result: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a task's result for clients, without the fields for endpoints, which may hold the model's reasoning."""
    return {key: value for key, value in result.items() if key != RETURNED} if result else result
