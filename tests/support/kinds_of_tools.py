"""Every kind of tool that LangChain knows, each leaving a trace."""

from typing import Annotated, Any

from langchain.tools import ToolRuntime
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, Tool, tool
from langgraph.config import get_stream_writer
from langgraph.prebuilt import InjectedState
from pydantic import BaseModel
from typing_extensions import override

from tests.support.oracle import trace


class Amount(BaseModel):
    amount: int


class Subclass(BaseTool):
    name: str = "subclass"
    description: str = "A class of its own, with a schema."
    args_schema: type[BaseModel] = Amount

    @override
    def _run(self, amount: int, **more: Any) -> str:
        trace(f"subclass {amount!r}")
        return "done"


class WithoutSchema(BaseTool):
    name: str = "without_schema"
    description: str = "A class of its own; its schema follows from its method."

    @override
    def _run(self, amount: int) -> str:
        trace(f"without_schema {amount!r}")
        return "done"


def _act(**values: Any) -> str:
    trace(f"from_schema {values['amount']!r}")
    return "done"


def _one(text: str) -> str:
    trace(f"one_text {text!r}")
    return "done"


def _several(*args: int, amount: int = 0, **kwargs: int) -> str:
    trace(f"variadic {amount!r} {args!r} {kwargs!r}")
    return "done"


def _artifact(amount: int) -> tuple[str, dict[str, int]]:
    trace(f"with_artifact {amount!r}")
    return "done", {"amount": amount}


subclass = Subclass()
without_schema = WithoutSchema()
from_schema = StructuredTool(
    name="from_schema",
    description="Its schema is plain JSON, as that of an MCP server.",
    args_schema={"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]},
    func=_act,
)
one_text = Tool(name="one_text", description="Takes one text.", func=_one)
variadic = StructuredTool.from_function(_several, name="variadic", description="Takes what there is.")
with_artifact = StructuredTool.from_function(
    _artifact, name="with_artifact", description="Gives more than a text.", response_format="content_and_artifact"
)


@tool
def handed_things(
    amount: int,
    state: Annotated[dict[str, Any], InjectedState],
    call_id: Annotated[str, InjectedToolCallId],
    runtime: ToolRuntime,
) -> str:
    """Is handed the state, its call's id and the runtime."""
    get_stream_writer()({"half": "way"})
    trace(f"handed_things {amount!r} {len(state['messages'])} {call_id == runtime.tool_call_id}")
    return "done"
