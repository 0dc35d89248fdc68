"""Opening of a tool's own function: it runs once each time its guard opens it, with exactly those values."""

import asyncio
import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from traceback import walk_tb
from typing import Any

from langchain_core.tools import BaseTool, ToolException

from agents.runtime.gate import call_site
from agents.runtime.run_context import active_run
from agents.state import tool_calls

logger = logging.getLogger(__name__)

REFUSAL = (
    "{tool} was not run: the call bypassed its review. Call the tool with `invoke` inside the graph of a task, not "
    "through its function, in a thread without the task's context, or outside of a task."
)


NOT_PASSED = (
    "{tool} was not run: LangChain or the tool's own class would change the argument {names} after the approval. "
    "Ask the operator to rename the argument."
)


class Refused(ToolException):
    """A tool was called in a way that bypasses its review. It has not run."""


@dataclass(frozen=True)
class Opened:
    """Permission to run one tool once, with exactly these values."""

    tool: str
    values: dict[str, Any]
    function: Callable[..., Any] | None  # None: it is the tool's own method


opened_now: ContextVar[Opened | None] = ContextVar("agentsite_opened", default=None)


def refused(tool: str) -> Refused:
    """Log the refused call, also in the audit log if a task made it, and return the exception to raise."""
    text = REFUSAL.format(tool=tool)
    run = active_run()
    logger.error("%s", text, extra={"task": str(run.task.pk) if run is not None else ""})
    if run is not None:
        try:
            entry = tool_calls.Entry(
                "refused", call_site.shortened_id(f"{tool}:{run.count(run, 'refused', tool)}"), tool, "", ""
            )
            tool_calls.refuse(run.attempt, entry)
        finally:
            run.let_go()
    return Refused(text)


def only_opened(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, wrapped so that it runs once each time the guard opens it."""

    @wraps(function)
    def run_opened(*args: Any, **kwargs: Any) -> Any:
        opened = opened_now.get()
        if opened is None or opened.function not in (None, run_opened):
            raise refused(name)
        changed = [key for key, value in opened.values.items() if not _is_passed(key, value, args, kwargs)]
        if changed:
            raise ToolException(not_passed(name, changed))
        reset = opened_now.set(None)
        try:
            return function(*args, **kwargs)
        finally:
            opened_now.reset(reset)

    return run_opened


def _is_passed(key: str, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return (key in kwargs and kwargs[key] is value) or any(value is one for one in args)


def not_passed(tool: str, names: list[str]) -> str:
    return NOT_PASSED.format(tool=tool, names=", ".join(names)) if names else ""


def run_either(
    cls: type[BaseTool], own_arun: Callable[..., Any] | None, tool: BaseTool, *args: Any, **kwargs: Any
) -> Any:
    """Run the tool's own method, or its coroutine if the method itself raises NotImplementedError."""
    try:
        return cls._run(tool, *args, **kwargs)
    except NotImplementedError as error:
        deepest = [frame.f_code for frame, _ in walk_tb(error.__traceback__)][-1]
        if own_arun is None or deepest is not cls._run.__code__:
            raise
    kwargs.pop("run_manager", None)  # a synchronous one
    return asyncio.run(own_arun(tool, *args, **kwargs))
