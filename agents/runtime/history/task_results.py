"""The stored result of a completed task, as far as it can be read without LangChain: the web process loads none."""

from typing import Any

RETURNED = "returned"  # key of what only endpoints need again


def shown(result: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a task's result as clients see it: what only endpoints need again may be the model's thoughts."""
    return {key: value for key, value in result.items() if key != RETURNED} if result else result
