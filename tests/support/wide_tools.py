"""Free tools that run on defaults, take nothing, or give what is hard to store."""

from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from typing_extensions import override

from agents.policy import Declaration, declare
from tests.support.oracle import trace


@declare(Declaration(review=None))
@tool
def wipe(what: str = "*") -> str:
    """Remove what fits the pattern; by default everything."""
    trace(f"wipe {what}")
    return f"wiped {what}"


@declare(Declaration(review=None))
@tool
def tick() -> str:
    """Take no arguments."""
    trace("tick")
    return "tock"


class Unprintable:
    """A value that can't even be shown."""

    @override
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def _nested(depth: int) -> Any:
    value: Any = "bottom"
    for _ in range(depth):
        value = [value]
    return value


ODD_RESULTS: dict[str, Any] = {
    "big": 2**70,
    "negative": -(2**64),
    "endless": 10**5000,
    "infinite": float("inf"),
    "deep": _nested(900),
    "deeper": _nested(50_000),
    "unprintable": Unprintable(),
    "bytes": b"\x00\xff",
    "keys": {("a", 1): 1, 2**80: 2},
}


@declare(Declaration(review=None))
@tool(response_format="content")
def report(kind: str) -> ToolMessage:
    """Give a block with a value of this kind."""
    trace(f"report {kind}")
    message = ToolMessage([{"type": "text", "text": "see value"}], tool_call_id="x")
    message.content[0]["value"] = ODD_RESULTS[kind]  # type: ignore[index]
    return message
