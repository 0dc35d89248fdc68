"""Guard on every tool of the registry: each call goes through its passage, however the tool is called.

The guard belongs to the tool and not to the graph, so it works in any graph, subgraph and sub-agent, with or without
our middleware. Outside a task, or when its bare function is called, the tool refuses to run.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial, wraps
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.config import run_in_executor
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, Tool, ToolException
from langchain_core.tools.base import _is_injected_arg_type, get_all_basemodel_annotations
from langgraph.prebuilt import ToolRuntime
from pydantic import BaseModel

from agents.runtime.gate import call_site
from agents.runtime.gate.execution import CallRequest, outer_call
from agents.runtime.gate.opening import Opened, not_passed, only_opened, opened_now, refused, run_either
from agents.runtime.gate.passage import go_through
from agents.runtime.run_context import Run, active_run
from agents.runtime.tool_arguments import Arguments, hidden_from_model, kept_for_langchain, tool_node_fills
from agents.tool_context import current_call
from core.text import canonical

logger = logging.getLogger(__name__)


def guarded(tool: BaseTool) -> BaseTool:
    """Return a guarded copy of the tool, or the tool itself if it is guarded. The original is not changed."""
    if isinstance(tool, Guard):
        return tool
    # An error that the body raises is not about the arguments, which were read before.
    update: dict[str, Any] = {"handle_validation_error": False}
    if getattr(tool, "func", None) is not None:
        update["func"] = only_opened(tool.name, tool.func)  # type: ignore[attr-defined]
    if hasattr(tool, "coroutine"):
        update["coroutine"] = None
    copy = tool.model_copy(update=update)
    object.__setattr__(copy, "__class__", _guarded_class(type(tool)))
    return copy


class Guard:
    """Mixin that precedes a tool's own class."""

    name: str

    def run(
        self,
        tool_input: Any,
        *args: Any,
        config: RunnableConfig | None = None,
        tool_call_id: str | None = None,
        **kw: Any,
    ) -> Any:
        """Take the call through its passage instead of running the tool at once.

        Raises Refused outside a task, and the exceptions of `passage.go_through`.
        """
        config = ensure_config(config)
        run, site = active_run(), call_site.find(config, tool_call_id)
        if run is None or site is None:
            raise refused(self.name)
        given = _given(self, tool_input, tool_call_id, site)  # type: ignore[arg-type]
        perform = partial(self._perform, given, config, tool_call_id, kw)
        result = go_through(run, _request(self, run, site, tool_input, tool_call_id, perform))  # type: ignore[arg-type]
        return result if tool_call_id is not None else _bare(result)

    async def arun(self, tool_input: Any, *args: Any, **kw: Any) -> Any:
        """Take the call through its passage in a thread, because the ledger is written synchronously."""
        return await run_in_executor(None, partial(self.run, tool_input, *args, **kw))

    def _perform(
        self,
        given: dict[str, Any],
        config: RunnableConfig,
        tool_call_id: str | None,
        kw: dict[str, Any],
        args: Arguments,
    ) -> Any:
        """Run the tool itself with these arguments."""
        with call_site.inside_call(config, uuid.UUID(current_call().idempotency_key)) as config:
            values = {**args.values, **_injected(self, given, tool_call_id, config)}  # type: ignore[arg-type]
            reset = opened_now.set(Opened(self.name, values, getattr(self, "func", None)))
            try:
                return super().run(dict(args.wire), config=config, tool_call_id=tool_call_id, **kw)  # type: ignore[misc]
            finally:
                opened_now.reset(reset)

    def _parse_input(self, tool_input: Any, tool_call_id: str | None) -> dict[str, Any]:
        """Return the values that were read before, because reading them again could change them. Raises Refused."""
        opened = opened_now.get()
        if opened is None or opened.tool != self.name:
            raise refused(self.name)
        return dict(opened.values)


def _bare(result: Any) -> Any:
    """Return the result for a node that calls the tool itself. Raises ToolException for a message of status error."""
    if not isinstance(result, ToolMessage):
        return result
    if result.status == "error":
        raise ToolException(str(result.content))
    return result.content  # a person's answer in place of the tool's result


def _request(
    tool: BaseTool,
    run: Run,
    site: call_site.CallSite,
    tool_input: Any,
    tool_call_id: str | None,
    perform: Callable[[Arguments], Any],
) -> CallRequest:
    args = _written(tool, tool_input)
    known = call_site.known_message(site, tool_call_id) if tool_call_id is not None else None
    lasting = known is not None or call_site.is_written_in(site.message, tool_call_id, tool.name, args)
    outer = outer_call()
    if lasting:
        call_id = call_site.shortened_id(tool_call_id or "")
    else:
        text = _lasting_text(args)
        number = run.count(site.execution, site.node_run, str(outer), tool.name, text)
        call_id = call_site.direct_call_id(tool.name, text, number)
    return CallRequest(
        tool=tool,
        name=tool.name,
        call_id=call_id,
        message_id=known or call_site.node_id(site, outer),
        args=args,
        perform=perform,
        said=site.said,
        malformed=call_site.malformed(site.message, tool_call_id)
        or not_passed(tool.name, kept_for_langchain(tool, args)),
        messages=site.messages,
        answers=tool_call_id or "",
    )


def _written(tool: BaseTool, tool_input: Any) -> Any:
    """Return the arguments as the model or a node wrote them, without those that LangGraph filled in."""
    if isinstance(tool_input, str):  # of a tool with one argument
        return {next(iter(tool.args), "input"): tool_input}
    hidden = hidden_from_model(tool)
    return {key: value for key, value in tool_input.items() if key not in hidden}


def _given(tool: BaseTool, tool_input: Any, tool_call_id: str | None, site: call_site.CallSite) -> dict[str, Any]:
    """Return the arguments hidden from the model that the graph filled in, without those that the model wrote."""
    given = tool_input if isinstance(tool_input, dict) else {}
    found = {key: given[key] for key in hidden_from_model(tool) if key in given}
    if tool_call_id is None:  # a node that calls the tool itself
        return found
    written = call_site.arguments_in(site.message, tool_call_id)
    if written is not None:
        return {key: value for key, value in found.items() if key not in written or written[key] != value}
    # LangGraph's tool node drops what the model wrote under these names; a node's own loop may pass it on.
    return {key: value for key, value in found.items() if key in tool_node_fills(tool)}


def _injected(
    tool: BaseTool, given: dict[str, Any], tool_call_id: str | None, config: RunnableConfig
) -> dict[str, Any]:
    """Return the arguments that the graph filled in, with the config and the id of this call."""
    found = {
        key: replace(value, config=config) if isinstance(value, ToolRuntime) else value for key, value in given.items()
    }
    schema = tool.args_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        for key, annotation in get_all_basemodel_annotations(schema).items():
            if _is_injected_arg_type(annotation, injected_type=InjectedToolCallId):
                found[key] = tool_call_id
    return found


def _lasting_text(value: Any) -> str:
    """Return a text that is the same in every process: without the order of a set or the address of an object."""
    try:
        return canonical(value)
    except (TypeError, ValueError, RecursionError):
        pass
    if isinstance(value, dict):
        return canonical([[str(key), _lasting_text(item)] for key, item in value.items()])
    if isinstance(value, set | frozenset):
        return canonical(sorted(map(_lasting_text, value)))
    if isinstance(value, list | tuple):
        return canonical([_lasting_text(item) for item in value])
    if isinstance(value, BaseModel):
        return canonical([type(value).__qualname__, _lasting_text(dict(value))])
    return type(value).__qualname__ if type(value).__repr__ is object.__repr__ else repr(value)


@cache
def _guarded_class(cls: type[BaseTool]) -> type[BaseTool]:
    """Return a subclass of the tool's class with the guard in front."""
    own: dict[str, Any] = {"__module__": cls.__module__, "__doc__": cls.__doc__}
    has_function = "func" in cls.model_fields
    own_arun = cls._arun if cls._arun not in (BaseTool._arun, Tool._arun, StructuredTool._arun) else None
    if not has_function:  # a class with a `_run` of its own

        @wraps(cls._run)
        def _run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
            return only_opened(self.name, partial(run_either, cls, own_arun, self))(*args, **kwargs)

        own["_run"] = _run
    elif cls._run not in (Tool._run, StructuredTool._run):  # it may call the function, which has its own guard

        @wraps(cls._run)
        def _run_around(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
            if opened_now.get() is None:
                raise refused(self.name)
            return cls._run(self, *args, **kwargs)

        own["_run"] = _run_around
    if own_arun is not None:

        @wraps(own_arun)
        async def _arun(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
            raise refused(self.name)  # runs are synchronous

        own["_arun"] = _arun
    return type(f"Guarded{cls.__name__}", (Guard, cls), own)
