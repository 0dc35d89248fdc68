"""Tools that return much."""

from langchain_core.tools import tool

from agents.policy import Declaration, declare

UNITS = {"latin": "lorem ipsum ", "chinese": "今天天气很好", "json": '{"id": 12345, "ok": true}, '}
BEGINNING, END = "the very beginning ", " the very end"


@declare(Declaration(review=None, idempotent=True, plain_result=True))
@tool
def read_long(characters: int, script: str = "latin") -> str:
    """Read a long text."""
    unit = UNITS[script]
    return BEGINNING + (unit * (characters // len(unit) + 1))[:characters] + END


@declare(Declaration(review=None, idempotent=True, plain_result=True))
@tool
def write_long(text: str) -> str:
    """Write a text down."""
    return f"wrote {len(text)} characters"
