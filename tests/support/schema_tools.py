"""Tools as MCP servers and other authors describe them: in drafts and dialects of their own, or unreadable."""

from collections.abc import Callable
from typing import Any

import pydantic.v1
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field

from agents.policy import REQUESTER, Declaration, Terms
from tests.support.oracle import trace

NOWHERE = "#/$defs/Nowhere"
REVIEWED = Declaration(review=Terms(deciders=(REQUESTER,)))


def server_tool(name: str, properties: Any, more: Any = None) -> BaseTool:
    """A tool whose schema is a plain dict, as the adapters for MCP servers make them."""

    def call(**given: Any) -> str:
        trace(f"{name} {given}")
        return f"{name} ran"

    return StructuredTool(
        name=name,
        description="d",
        args_schema={"type": "object", "properties": properties, **(more or {})},
        func=call,
        metadata={"agentsite": REVIEWED},
    )


draft_04 = server_tool(
    "draft_04",
    {"n": {"type": "number", "minimum": 0, "exclusiveMinimum": True}},
    {"$schema": "http://json-schema.org/draft-04/schema#"},
)
letters = server_tool("letters", {"name": {"type": "string", "pattern": r"^\p{L}+$"}})
plain_types = server_tool("plain_types", {"n": {"type": "int"}, "names": {"type": "list", "items": {"type": "str"}}})
draft_03 = server_tool("draft_03", {"n": {"type": "any", "required": True}, "m": {"type": "integer", "divisibleBy": 2}})
tuples = server_tool("tuples", {"pair": {"type": "array", "items": [{"type": "integer"}], "additionalItems": False}})
openapi = server_tool("openapi", {"text": {"type": "STRING", "nullable": True}}, {"definitions": None})

remote = server_tool("remote", {"n": {"$ref": "https://example.com/schema.json"}})
dangling = server_tool("dangling", {"n": {"$ref": NOWHERE}})
unknown_type = server_tool("unknown_type", {"n": {"type": "strnig"}})
broken_pattern = server_tool("broken_pattern", {"n": {"type": "string", "pattern": "("}})
endless = server_tool("endless", {"n": {"$ref": "#/$defs/A"}}, {"$defs": {"A": {"$ref": "#/$defs/A"}}})
listed = server_tool("listed", [{"name": "n"}])
scalar = server_tool("scalar", {}, {"type": "string"})


class WithFunction(BaseModel):
    """No JSON can hold this."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    key: Callable[[int], int]


class OfPydantic1(pydantic.v1.BaseModel):
    """LangChain still takes these."""

    n: int


class Name(BaseModel):
    """Pydantic knows the properties of Unicode, too."""

    name: str = Field(pattern=r"^\p{Lu}\p{L}*$")


class Code(BaseModel):
    """A flag that patterns have in Pydantic only."""

    name: str = Field(pattern=r"^(?U:a+)$")


def _sort(**given: Any) -> str:
    return "sorted"


def _greet(name: str) -> str:
    trace(f"greet {name}")
    return f"hello {name}"


with_function = StructuredTool(name="with_function", description="d", args_schema=WithFunction, func=_sort)
pydantic_1 = StructuredTool(name="pydantic_1", description="d", args_schema=OfPydantic1, func=_sort)
greet = StructuredTool(name="greet", description="d", args_schema=Name, func=_greet, metadata={"agentsite": REVIEWED})
rust = StructuredTool(name="rust", description="d", args_schema=Code, func=_greet, metadata={"agentsite": REVIEWED})
