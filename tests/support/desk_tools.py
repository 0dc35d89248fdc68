"""Tools for the review desk, with arguments of every kind. Each call leaves its arguments in the oracle's trace."""

import json
from typing import Any, Literal

from langchain_core.tools import tool
from pydantic import BaseModel, Field

from tests.support.oracle import trace


class Line(BaseModel):
    """One line of an order."""

    article: str
    count: int = Field(ge=1)


class Address(BaseModel):
    """Where it goes."""

    street: str
    floor: int | None = None


class Order(BaseModel):
    """Arguments of every kind."""

    note: str
    price: float
    pieces: int = Field(default=1, ge=1, le=99)
    express: bool = False
    size: Literal["S", "M", "L"] = "M"
    tags: list[str] = []
    lines: list[Line] = []
    address: Address | None = None
    comment: str | None = None
    extra: dict[str, Any] = {}


@tool(args_schema=Order)
def order(**args: Any) -> str:
    """Order something."""
    plain = {key: value.model_dump() if isinstance(value, BaseModel) else value for key, value in args.items()}
    plain["lines"] = [one.model_dump() if isinstance(one, BaseModel) else one for one in args["lines"]]
    trace(json.dumps(plain, sort_keys=True))
    return "ordered"


ASKED: dict[str, Any] = {
    "note": "  two spaces before,\nanother line and one after \n",
    "price": 12.0,
    "pieces": 3,
    "express": True,
    "size": "L",
    "tags": ["a b", " c"],
    "lines": [{"article": "x", "count": 2}, {"article": "y", "count": 1}],
    "address": {"street": "Main St", "floor": None},
    "comment": None,
    "extra": {"deep": [1, 2.50, {"k": "v"}]},
}
