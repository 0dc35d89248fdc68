"""Arguments of a tool call, validated once by the tool's own schema.

The *wire form* is JSON: it is shown, judged, hashed and stored. The *values* are the schema's reading of it: they run.
A call may be reviewed only if the wire form determines exactly which values will run.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, cast

from langchain_core.tools import BaseTool, InjectedToolArg, Tool
from langchain_core.tools.base import _is_injected_arg_type
from pydantic import AliasChoices, BaseModel, create_model
from pydantic.fields import FieldInfo

from agents import json_schema
from core.text import canonical, same, storable

VARIADIC = ("args", "kwargs")  # the names under which LangChain's schemas hold *args and **kwargs
ONE_TEXT = {  # LangChain's description of a `Tool` without a schema
    "type": "object",
    "properties": {"__arg1": {"type": "string"}},
    "required": ["__arg1"],
    "additionalProperties": False,
}
UNREVIEWABLE = (
    "{tool} can't be reviewed: its schema changes these arguments when it reads them, so that the call that a person "
    "sees is not the call that would run. Nothing was run. Ask the operator to correct the tool's schema."
)


class ArgumentError(Exception):
    """The call can't run as it is written; the text is for the model."""


@dataclass(frozen=True)
class Arguments:
    """Arguments of one call, validated once."""

    wire: dict[str, Any]  # JSON: shown, judged, hashed, stored
    values: dict[str, Any]  # keyword arguments of the tool's function

    @property
    def text(self) -> str:
        """Canonical JSON of the wire form."""
        return canonical(self.wire)

    def is_plain(self) -> bool:
        """Return whether the values are plain JSON and equal to the wire form, with nothing hidden or rewritten."""
        return _is_json(self.values) and same(list(self.values.values()), list(self.wire.values()))

    def equals(self, other: "Arguments") -> bool:
        """Return whether both would run with the same values."""
        try:
            return bool(self.values == other.values)
        except Exception:  # values may define their own comparison
            return False


def read(name: str, tool: BaseTool | None, args: Any) -> Arguments:
    """Validate the arguments with the tool's schema. Raises ArgumentError."""
    if tool is None:
        raise ArgumentError(f"There is no tool called {name!r}.")
    try:
        found = _read(tool, storable(args))
        canonical(found.wire)
        return found
    except Exception as error:  # validators and serializers of a tool's schema may raise anything
        raise ArgumentError(f"The arguments do not fit {name}: {error}") from error


def require_reviewable(name: str, tool: BaseTool | None, first: Arguments) -> bool:
    """Require that the wire form shows what will run. Return whether a person may also edit it.

    Raises:
        ArgumentError: the schema reads other values from the wire form, and the wire form doesn't show the first ones.
    """
    try:
        if read(name, tool, first.wire).equals(first):
            return True
    except ArgumentError:
        pass
    if first.is_plain():  # such as a percentage that the schema divides: the quotient is shown, but can't be read again
        return False
    raise ArgumentError(UNREVIEWABLE.format(tool=name))


def agreed(name: str, tool: BaseTool | None, raw: Any, text: str) -> Arguments | None:
    """Return the arguments that a stored wire form stands for, or None if the schema reads another call from it.

    Args:
        raw: the model's arguments, if the wire form was made from them; None after an edit.
        text: canonical JSON, as it was shown and agreed to.

    Raises:
        ArgumentError: the wire form does not determine what would run, or the schema no longer accepts it.
    """
    wire = json.loads(text)
    first = _quietly(name, tool, raw) if raw is not None else None
    if first is not None and same(first.wire, wire):
        second = _quietly(name, tool, wire)
        if second is not None and second.equals(first):
            return Arguments(wire, second.values)
        if first.is_plain():
            return Arguments(wire, first.values)
        raise ArgumentError(UNREVIEWABLE.format(tool=name))
    found = read(name, tool, wire)
    return Arguments(wire, found.values) if same(found.wire, wire) else None


def schema_of(tool: BaseTool | None) -> dict[str, Any]:
    """Return the tool's JSON schema, for the review form and for checking an edit; empty without a tool."""
    if tool is None:
        return {}
    schema = _offered(tool)
    found = schema if isinstance(schema, dict) else schema.model_json_schema()
    return {key: value for key, value in storable(found).items() if key not in ("title", "description")}


def kept_for_langchain(tool: BaseTool, args: Any) -> list[str]:
    """Return the argument names that can't reach the tool's function: LangChain passes its own values under them."""
    if "func" not in type(tool).model_fields:
        return []
    schema = _offered(tool)
    passed = args if isinstance(schema, dict) else schema.model_fields  # a model's fields are passed by their defaults
    return [name for name in ("config", "run_manager") if isinstance(passed, dict) and name in passed]


def hidden_from_model(tool: BaseTool) -> frozenset[str]:
    """Return the names of the arguments that LangGraph fills in: the state, the store, the call's id."""
    schema = tool.get_input_schema()
    known = _injected_fields(schema) if isinstance(schema, type) and issubclass(schema, BaseModel) else frozenset()
    return known | tool._injected_args_keys


def tool_node_fills(tool: BaseTool) -> frozenset[str]:
    """Return the names of the hidden arguments that LangGraph's tool node fills in: no bare `InjectedToolArg`s."""
    schema = tool.get_input_schema()
    fields = schema.model_fields if isinstance(schema, type) and issubclass(schema, BaseModel) else {}
    plain = {name for name, info in fields.items() if _is_plain_injected(info)}
    return hidden_from_model(tool) - plain


def _is_plain_injected(info: FieldInfo) -> bool:
    return any(one is InjectedToolArg or type(one) is InjectedToolArg for one in info.metadata)


def _quietly(name: str, tool: BaseTool | None, args: Any) -> Arguments | None:
    try:
        return read(name, tool, args)
    except ArgumentError:
        return None


def _read(tool: BaseTool, args: Any) -> Arguments:
    offered = _offered(tool)
    if isinstance(offered, dict):  # an MCP server's tool
        json_schema.validate(args, offered)
        return Arguments(dict(args), dict(args))
    full = tool.get_input_schema()
    if not issubclass(full, BaseModel):
        raise TypeError("the tool's schema is of a kind that can't be checked")
    # The schema offered to the model lacks the tool's own validators, which could change the values that run.
    hidden = _injected_fields(full)
    if isinstance(args, dict):
        args = {key: value for key, value in args.items() if key not in hidden}
    found = _open(full, hidden).model_validate(args)
    names = _passed(found, hidden)
    # `round_trip` leaves out computed fields, which are no input, and writes Json fields the way they are read.
    dumped = found.model_dump(mode="json", by_alias=False, round_trip=True, include=set(names))
    wire = {_key(found, name): _in_order(getattr(found, name), dumped[name]) for name in names if name in dumped}
    return Arguments(dict(storable(wire)), {name: getattr(found, name) for name in names})


def _offered(tool: BaseTool) -> dict[str, Any] | type[BaseModel]:
    """Return the schema that the model is shown."""
    if isinstance(tool, Tool) and tool.args_schema is None:
        return ONE_TEXT
    return cast(dict[str, Any] | type[BaseModel], tool.tool_call_schema)


def _passed(found: BaseModel, hidden: frozenset[str]) -> list[str]:
    """Return the fields that LangChain passes to the tool's function: those given and those with a default."""
    known = type(found).model_fields
    given = found.model_fields_set
    passed = [n for n in known if n not in hidden and (n in given or n not in VARIADIC)]
    return [*passed, *(found.model_extra or {})]


def _key(found: BaseModel, name: str) -> str:
    """Return the name under which the schema reads this field."""
    info: FieldInfo | None = type(found).model_fields.get(name)
    alias = info.validation_alias if info is not None else None
    if isinstance(alias, AliasChoices):
        alias = next((choice for choice in alias.choices if isinstance(choice, str)), None)
    return alias if isinstance(alias, str) else name


def _in_order(value: Any, dumped: Any) -> Any:
    """Return the dumped value with its fields under the aliases by which they are read, and its sets sorted.

    The order of a set differs between processes.
    """
    if isinstance(value, set | frozenset) and isinstance(dumped, list):
        return sorted(dumped, key=canonical)
    if isinstance(value, list | tuple) and isinstance(dumped, list) and len(value) == len(dumped):
        return [_in_order(*pair) for pair in zip(value, dumped, strict=True)]
    if isinstance(value, dict) and isinstance(dumped, dict) and len(value) == len(dumped):
        return {key: _in_order(*pair) for key, *pair in zip(dumped, value.values(), dumped.values(), strict=True)}
    if isinstance(value, BaseModel) and isinstance(dumped, dict):
        return {_key(value, key): _in_order(getattr(value, key, None), item) for key, item in dumped.items()}
    return dumped


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return type(value) is dict and all(type(key) is str and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return type(value) is list and all(map(_is_json, value))
    return value is None or type(value) in (str, int, float, bool)


@cache
def _injected_fields(schema: type[BaseModel]) -> frozenset[str]:
    """Return the names of fields that LangGraph fills in. LangChain hides more: it also drops some aliased fields."""
    return frozenset(name for name, info in schema.model_fields.items() if _is_injected(info))


def _is_injected(info: FieldInfo) -> bool:
    """Return whether LangGraph fills in the field, by its class (such as ToolRuntime) or its `Annotated` metadata."""
    hints: tuple[Any, ...] = (info.annotation, Annotated[info.annotation, None, *info.metadata])
    return any(_is_injected_arg_type(hint) for hint in hints)


@cache
def _open(schema: type[BaseModel], hidden: frozenset[str]) -> type[BaseModel]:
    """Return the schema with the fields that LangGraph fills in (the state, the call's id) made optional."""
    if not hidden:
        return schema
    fields: dict[str, Any] = dict.fromkeys(hidden, (Any, None))
    return create_model(schema.__name__, __base__=schema, **fields)
