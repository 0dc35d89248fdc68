"""Tools whose schemas change what they read, or write it otherwise than they read it: each traces what it got."""

import hashlib
import uuid
from decimal import Decimal
from typing import Annotated, Any

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    SecretStr,
    computed_field,
    field_serializer,
    model_validator,
)

from agents.policy import Declaration, declare
from tests.support.oracle import trace


class Percentage(BaseModel):
    rate: Annotated[float, AfterValidator(lambda value: value / 100)]


class Cents(BaseModel):
    amount: Annotated[int, AfterValidator(lambda value: value * 100)]


class Prefixed(BaseModel):
    to: Annotated[str, AfterValidator(lambda value: f"acct-{value}")]


class Hashed(BaseModel):
    pin: Annotated[str, AfterValidator(lambda value: hashlib.sha256(value.encode()).hexdigest()[:8])]


class Taxed(BaseModel):
    net: float
    gross: float = 0

    @model_validator(mode="after")
    def tax(self) -> "Taxed":
        self.gross = (self.gross or self.net) * 1.5
        return self


class Secret(BaseModel):
    password: SecretStr


class Rounded(BaseModel):
    amount: float

    @field_serializer("amount")
    def rounded(self, value: float) -> float:
        return round(value, 1)


class Worded(BaseModel):
    amount: Annotated[int, PlainSerializer(lambda value: "a lot" if value > 100 else "little", return_type=str)]


class Excluded(BaseModel):
    to: str
    bcc: str = Field(default="", exclude=True)


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amount: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.amount * 2


class Aliased(BaseModel):
    amount: int = Field(alias="amountIn", serialization_alias="amountOut")


class Renamed(BaseModel):
    amount: int = Field(validation_alias="amountIn")


class Address(BaseModel):
    house: int = Field(alias="houseNumber")


class Nested(BaseModel):
    address: Address


class Parsed(BaseModel):
    items: Json[list[int]]


class Numbered(BaseModel):
    text: str
    ticket: uuid.UUID = Field(default_factory=uuid.uuid4)


class Tagged(BaseModel):
    tags: set[str]
    price: Decimal


class Split(BaseModel):
    names: Annotated[list[str], BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value)]


def _plain(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return f"{sorted(value)}" if isinstance(value, set) else f"{value}"


def _tool(schema: type[BaseModel], free: bool) -> BaseTool:
    name = f"{'free_' if free else ''}{schema.__name__.lower()}"

    def act(**values: Any) -> str:
        trace(f"{name} " + " ".join(f"{key}={_plain(value)}" for key, value in values.items()))
        return "done"

    made = StructuredTool.from_function(act, name=name, description="Act.", args_schema=schema)
    act.__module__ = __name__
    return declare(Declaration(review=None))(made) if free else made


_SCHEMAS = (
    *(Percentage, Cents, Prefixed, Hashed, Taxed, Secret, Rounded, Worded, Excluded, Computed, Aliased, Renamed),
    *(Nested, Parsed, Numbered, Tagged, Split),
)
globals().update({tool.name: tool for schema in _SCHEMAS for free in (True, False) for tool in [_tool(schema, free)]})
