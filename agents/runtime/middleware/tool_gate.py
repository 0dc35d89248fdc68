"""Middleware around each tool call of `create_agent`.

Tools of the registry have their own guard; here they get the id of the model's message, which is the same after a
pause. Tools that other middleware adds have no guard: their calls go through a passage too, and are reviewed unless a
rule says otherwise.
"""

from collections.abc import Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain_core.tools import ToolException
from langgraph.prebuilt.tool_node import ToolCallRequest
from typing_extensions import override

from agents.runtime import tool_arguments
from agents.runtime.gate import call_site
from agents.runtime.gate.execution import CallRequest, outer_call
from agents.runtime.gate.guard import Guard
from agents.runtime.gate.opening import refused
from agents.runtime.gate.passage import go_through
from agents.runtime.gate.tool_results import Result, is_body_error
from agents.runtime.run_context import Run, active_run
from agents.runtime.tool_arguments import Arguments

Handler = Callable[[ToolCallRequest], Result]


class Gate(AgentMiddleware[Any, Run, Any]):
    """Middleware around tool calls. One instance per graph; it keeps no state of a run."""

    @override
    def wrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> Result:
        """Take the call through its passage. Raises RunEnded and LangGraph's own interrupts."""
        call_id = request.tool_call["id"] or ""
        message = call_site.asking(request.state["messages"], call_id)
        unique = message.id if message is not None and call_site.is_unique(message) else None
        if isinstance(request.tool, Guard):
            if unique is None:
                return handler(request)
            with call_site.known(request.runtime.config, call_id, unique):
                return handler(request)
        run, site = active_run(), call_site.find(request.runtime.config, call_id)
        if run is None or site is None:
            raise refused(request.tool_call["name"])
        return go_through(
            run,
            CallRequest(
                tool=request.tool,
                name=request.tool_call["name"],
                call_id=call_site.shortened_id(call_id),
                message_id=unique or call_site.node_id(site, outer_call()),
                args=request.tool_call["args"],
                perform=lambda args: _performed(request, handler, args),
                said=str(message.text) if message is not None else "",
                malformed=call_site.malformed(message, call_id),
                messages=request.state["messages"],
            ),
        )


def _performed(request: ToolCallRequest, handler: Handler, args: Arguments) -> Result:
    """Run a tool without a guard, which reads its arguments itself. Raises ToolException if it would change them."""
    if not tool_arguments.read(request.tool_call["name"], request.tool, args.wire).equals(args):
        raise ToolException(tool_arguments.UNREVIEWABLE.format(tool=request.tool_call["name"]))
    result = handler(request.override(tool_call={**request.tool_call, "args": args.wire}))
    if is_body_error(result):
        raise ValueError(str(result.content))
    return result
