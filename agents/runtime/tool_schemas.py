"""Tool schemas for the model, in the current form of JSON Schema. A tool whose schema can't be read is left out."""

import json
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from agents import json_schema
from agents.runtime.tool_arguments import schema_of
from core.text import shortened

LONGEST = 300  # characters of a reason


def readable(tool: BaseTool) -> BaseTool:
    """Return the tool, with its JSON schema (if it has one) in the form that endpoints and review pages read.

    Raises json_schema.Unreadable if a model can't be offered the tool or its arguments can't be checked. Such a tool
    would fail every task of its agent, even those that do not use it.
    """
    try:
        if isinstance(tool.args_schema, dict):
            tool = tool.model_copy(update={"args_schema": _of_object(json_schema.modern(tool.args_schema))})
        elif not issubclass(tool.get_input_schema(), BaseModel):
            raise json_schema.Unreadable("it is a Pydantic 1 model; use a Pydantic 2 model or a JSON schema")
        schema = schema_of(tool)
        if isinstance(tool.args_schema, dict):  # Pydantic does its own checks, of more patterns than we know
            json_schema.validator(schema)
        json.dumps(convert_to_openai_tool(tool))
        tool.get_input_schema()
    except json_schema.Unreadable:
        raise
    except Exception as error:  # a type, a validator or a converter may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise json_schema.Unreadable(shortened(reason, LONGEST)) from error
    kinds = schema.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        raise json_schema.Unreadable(f"it describes a value of type {kinds!r}, but arguments are an object")
    return tool


def _of_object(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with the top-level keys that many endpoints require: the type "object" and the properties."""
    kinds = schema.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        return schema
    schema = {**schema, "type": "object"}
    if "properties" in schema or any(key in schema for key in ("$ref", *json_schema.LISTS)):
        return schema
    return {"properties": {}, "additionalProperties": True, **schema}
