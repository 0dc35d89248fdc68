"""A tool's schema as the model is offered it: in the current form, or the tool is left out."""

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
    """The tool, with a JSON schema of its own in the form that endpoints and reviewers' pages read.

    Raises json_schema.Unreadable where a model can't be offered it, or its arguments can't be checked: it would fail
    each task of its agent, also those that have no use for it.
    """
    try:
        if isinstance(tool.args_schema, dict):
            tool = tool.model_copy(update={"args_schema": _of_object(json_schema.modern(tool.args_schema))})
        elif not issubclass(tool.get_input_schema(), BaseModel):
            raise json_schema.Unreadable("it is a model of Pydantic 1: make it one of Pydantic 2, or a JSON schema")
        schema = schema_of(tool)
        if isinstance(tool.args_schema, dict):  # Pydantic checks by itself, and knows patterns that we don't
            json_schema.validator(schema)
        json.dumps(convert_to_openai_tool(tool))
        tool.get_input_schema()
    except json_schema.Unreadable:
        raise
    except Exception as error:  # whatever a type, a validator or a converter raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise json_schema.Unreadable(shortened(reason, LONGEST)) from error
    kinds = schema.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        raise json_schema.Unreadable(f"it describes a value of type {kinds!r}, and arguments are an object")
    return tool


def _of_object(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with what many endpoints insist on at its top: that it is an object's, and which properties it has."""
    kinds = schema.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        return schema
    schema = {**schema, "type": "object"}
    if "properties" in schema or any(key in schema for key in ("$ref", *json_schema.LISTS)):
        return schema
    return {"properties": {}, "additionalProperties": True, **schema}
