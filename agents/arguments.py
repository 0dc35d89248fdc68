"""The arguments of a tool call: what the model wrote, as the tool's own schema coerces it."""

from functools import cache
from typing import Any, cast

import jsonschema
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ValidationError, create_model
from referencing import Registry

from agentsite.core.text import canonical, storable

NO_REMOTE: Registry[Any] = Registry()  # a schema of an MCP server must not make us fetch an address


class ArgumentError(Exception):
    """The call can't run as it is written; the text is for the model."""


def validated(name: str, tool: BaseTool | None, args: Any) -> dict[str, Any]:
    """The arguments as the tool's schema coerces them, JSON only. Raises ArgumentError."""
    if tool is None:
        raise ArgumentError(f"There is no tool called {name!r}.")
    try:
        coerced = _coerced(tool, args)
        canonical(coerced)
        return dict(storable(coerced))
    except (ValidationError, jsonschema.ValidationError, jsonschema.SchemaError, ValueError, TypeError) as error:
        raise ArgumentError(f"The arguments do not fit {name}: {error}") from error


def schema_of(tool: BaseTool | None) -> dict[str, Any]:
    """The tool's JSON schema, for the reviewer's form and the check of an edit."""
    if tool is None:
        return {}
    schema = tool.tool_call_schema
    found = schema if isinstance(schema, dict) else cast(type[BaseModel], schema).model_json_schema()
    return {key: value for key, value in storable(found).items() if key not in ("title", "description")}


def _coerced(tool: BaseTool, args: Any) -> Any:
    offered = tool.tool_call_schema
    if isinstance(offered, dict):  # a tool of an MCP server
        jsonschema.validate(args, offered, registry=NO_REMOTE)
        return args
    full = tool.get_input_schema()
    if not issubclass(full, BaseModel) or not issubclass(offered, BaseModel):
        raise TypeError("the tool's schema is of a kind that can't be checked")
    # What the model is offered has lost the schema's own validators; with them the tool would run something else.
    hidden = frozenset(full.model_fields) - frozenset(offered.model_fields)
    return _open(full, hidden).model_validate(args).model_dump(mode="json", by_alias=True, exclude=set(hidden))


@cache
def _open(schema: type[BaseModel], hidden: frozenset[str]) -> type[BaseModel]:
    """The schema, with what LangGraph fills in (the state, the call's id) left out."""
    if not hidden:
        return schema
    fields: dict[str, Any] = dict.fromkeys(hidden, (Any, None))
    return create_model(schema.__name__, __base__=schema, **fields)
