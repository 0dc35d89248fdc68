"""The guard on every tool that the registry hands out: however it is called, the call goes through its passage.

It belongs to the tool and not to the graph, so that it holds in any graph, subgraph and sub-agent, with or without our
middleware. Outside of a task, or by way of its bare function, the tool refuses to run.
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial, wraps
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.config import run_in_executor
from langchain_core.tools import BaseTool, InjectedToolCallId, ToolException
from langchain_core.tools.base import _is_injected_arg_type, get_all_basemodel_annotations
from pydantic import BaseModel

from agents import ledger
from agents.arguments import Arguments, hidden_from_model
from agents.graphs import call_site
from agents.graphs.execution import CallRequest
from agents.graphs.passage import go_through
from agents.run import Run, active_run
from agentsite.core.text import canonical

logger = logging.getLogger(__name__)

REFUSAL = (
    "{tool} was not run: it was called past its review. Call it with `invoke` inside the graph of a task, and not by "
    "its function, in a thread without the task's context or outside of a task."
)


class Refused(ToolException):
    """A tool was called in a way that leads past its review. It has not run."""


@dataclass(frozen=True)
class _Opened:
    """The permission to run one tool once, with just these values."""

    tool: str
    values: dict[str, Any]


_opened: ContextVar[_Opened | None] = ContextVar("agentsite_opened", default=None)


def guarded(tool: BaseTool) -> BaseTool:
    """Return the tool with the guard on it. The original is left as it is."""
    if isinstance(tool, Guard):
        return tool
    # What its body raises is no error in the arguments: those have been read by then.
    update: dict[str, Any] = {"handle_validation_error": False}
    if getattr(tool, "func", None) is not None:
        update["func"] = _only_opened(tool.name, tool.func)  # type: ignore[attr-defined]
    if hasattr(tool, "coroutine"):
        update["coroutine"] = None
    copy = tool.model_copy(update=update)
    object.__setattr__(copy, "__class__", _guarded_class(type(tool)))
    return copy


class Guard:
    """What is put in front of a tool's own class."""

    name: str

    def run(
        self,
        tool_input: Any,
        *args: Any,
        config: RunnableConfig | None = None,
        tool_call_id: str | None = None,
        **kw: Any,
    ) -> Any:
        """Take the call through its passage, in place of running the tool at once.

        Raises Refused outside of a task, and whatever `passage.go_through` raises.
        """
        config = ensure_config(config)
        run, site = active_run(), call_site.find(config, tool_call_id)
        if run is None or site is None:
            raise refused(self.name)
        perform = partial(self._perform, tool_input, config, tool_call_id, kw)
        result = go_through(run, _request(self, run, site, tool_input, tool_call_id, perform))  # type: ignore[arg-type]
        return result if tool_call_id is not None else _bare(result)

    async def arun(self, tool_input: Any, *args: Any, **kw: Any) -> Any:
        """Take the call through its passage in a thread: the ledger is written synchronously."""
        return await run_in_executor(None, partial(self.run, tool_input, *args, **kw))

    def _perform(
        self, tool_input: Any, config: RunnableConfig, tool_call_id: str | None, kw: dict[str, Any], args: Arguments
    ) -> Any:
        """Run the tool itself with these values."""
        values = {**args.values, **_injected(self, tool_input, tool_call_id)}  # type: ignore[arg-type]
        reset = _opened.set(_Opened(self.name, values))
        try:
            return super().run(dict(args.wire), config=config, tool_call_id=tool_call_id, **kw)  # type: ignore[misc]
        finally:
            _opened.reset(reset)

    def _parse_input(self, tool_input: Any, tool_call_id: str | None) -> dict[str, Any]:
        """Return the values as they were read before: reading them twice would run something else."""
        opened = _opened.get()
        if opened is None or opened.tool != self.name:
            raise refused(self.name)
        return dict(opened.values)


def refused(tool: str) -> Refused:
    """Note the attempt in the log, and in the audit log where a task made it; return the exception to raise."""
    text = REFUSAL.format(tool=tool)
    run = active_run()
    logger.error("%s", text, extra={"task": str(run.task.pk) if run is not None else ""})
    if run is not None:
        try:
            entry = ledger.Entry(
                "refused", call_site.shortened_id(f"{tool}:{run.count('refused', tool)}"), tool, "", ""
            )
            ledger.refuse(run.attempt, entry)
        finally:
            run.let_go()
    return Refused(text)


def _bare(result: Any) -> Any:
    """Return the result as a node gets it that calls the tool by itself. Raises ToolException where it has not run."""
    if not isinstance(result, ToolMessage):
        return result
    if result.status == "error":
        raise ToolException(str(result.content))
    return result.content  # a person's word in place of the tool's result


def _request(
    tool: BaseTool,
    run: Run,
    site: call_site.CallSite,
    tool_input: Any,
    tool_call_id: str | None,
    perform: Callable[[Arguments], Any],
) -> CallRequest:
    args = _written(tool, tool_input)
    if tool_call_id is None:
        text = canonical(args) if _is_canonical(args) else repr(args)
        number = run.count(site.node_run, str(site.node_attempt), tool.name, text)
        call_id = call_site.direct_call_id(tool.name, text, number)
    else:
        call_id = call_site.shortened_id(tool_call_id)
    return CallRequest(
        tool=tool,
        name=tool.name,
        call_id=call_id,
        message_id=call_site.message_id_of(site, tool_call_id or ""),
        args=args,
        perform=perform,
        said=site.said,
        malformed=call_site.malformed(site.message, tool_call_id),
        messages=site.messages,
    )


def _written(tool: BaseTool, tool_input: Any) -> Any:
    """The arguments as the model or a node wrote them, without what LangGraph has filled in."""
    if isinstance(tool_input, str):  # of a tool with one argument
        return {next(iter(tool.args), "input"): tool_input}
    hidden = hidden_from_model(tool)
    return {key: value for key, value in tool_input.items() if key not in hidden}


def _injected(tool: BaseTool, tool_input: Any, tool_call_id: str | None) -> dict[str, Any]:
    """The arguments that LangGraph fills in."""
    given = tool_input if isinstance(tool_input, dict) else {}
    found = {key: given[key] for key in hidden_from_model(tool) if key in given}
    schema = tool.args_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        for key, annotation in get_all_basemodel_annotations(schema).items():
            if _is_injected_arg_type(annotation, injected_type=InjectedToolCallId):
                found[key] = tool_call_id
    return found


def _is_canonical(value: Any) -> bool:
    try:
        canonical(value)
    except (TypeError, ValueError):
        return False
    return True


def _only_opened(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function such that it runs once for each time that the guard opens it."""

    @wraps(function)
    def run_opened(*args: Any, **kwargs: Any) -> Any:
        if _opened.get() is None:
            raise refused(name)
        reset = _opened.set(None)
        try:
            return function(*args, **kwargs)
        finally:
            _opened.reset(reset)

    return run_opened


@cache
def _guarded_class(cls: type[BaseTool]) -> type[BaseTool]:
    """The tool's class with the guard in front of it."""
    own: dict[str, Any] = {"__module__": cls.__module__, "__doc__": cls.__doc__}
    if "func" not in cls.model_fields:  # a class with a `_run` of its own

        @wraps(cls._run)
        def _run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
            return _only_opened(self.name, partial(cls._run, self))(*args, **kwargs)

        own["_run"] = _run
    return type(f"Guarded{cls.__name__}", (Guard, cls), own)
