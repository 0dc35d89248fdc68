"""Tools that do what tools may do though few of them do it: ask, answer strangely, hang, know only async."""

import asyncio
import datetime
import threading
from typing import Annotated

import pydantic
from langchain_core.messages import ToolMessage
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.types import Command, interrupt
from pydantic import BaseModel, field_validator

from agents.policy import REQUESTER, Declaration, Terms, declare
from tests.support.oracle import Crash, calls, trace

RELEASED = threading.Event()


@tool
def careful(amount: float) -> str:
    """Reviewed, and asks a question of its own as well."""
    said = interrupt("Really?")
    trace(f"careful {amount:g} {said}")
    return f"done: {said}"


@tool
def careful_and_crash(amount: float) -> str:
    """As above, and its worker dies after the effect, the first time."""
    said = interrupt("Really?")
    trace(f"careful_and_crash {said}")
    if len(calls()) == 1:
        raise Crash
    return f"done: {said}"


@declare(Declaration(review=None))
@tool
def ask_twice(where: str) -> str:
    """Free, and asks two questions."""
    city, sure = interrupt(f"Which city in {where}?"), interrupt({"sure": float("nan"), "text": "a\x00b"})
    trace(f"ask_twice {city} {sure}")
    return f"{city}, {sure}"


@declare(Declaration(review=None, idempotent=True))
@tool
def act_then_ask(what: str) -> str:
    """Has its effect, with its key, before it asks."""
    trace(f"act_then_ask {what}")
    return f"got {interrupt('ok?')}"


@tool
async def charge_async(amount: float) -> str:
    """Knows only async."""
    trace(f"charge_async {amount:g}")
    return f"charged {amount:g}"


@tool(response_format="content")
def pay_oddly(amount: float) -> ToolMessage:
    """Gives content that JSON does not know."""
    trace(f"pay_oddly {amount:g}")
    content = [{"type": "text", "text": "paid", "at": datetime.datetime(2026, 1, 1)}]
    return ToolMessage(content, tool_call_id="x")  # type: ignore[arg-type]


class Payment(BaseModel):
    """Its validator changes what was written."""

    to: str
    amount: float = 5000.0

    @field_validator("to")
    @classmethod
    def lower(cls, value: str) -> str:
        return value.strip().lower()


@declare(Declaration(review=Terms(deciders=(REQUESTER,))))
@tool(args_schema=Payment)
def pay(to: str, amount: float) -> str:
    """Pays."""
    trace(f"pay {to} {amount:g}")
    return "paid"


class Restless(BaseModel):
    """Its validator changes it each time."""

    text: str

    @field_validator("text")
    @classmethod
    def longer(cls, value: str) -> str:
        return value + "!"


@declare(Declaration(review=Terms(deciders=(REQUESTER,))))
@tool(args_schema=Restless)
def shout(text: str) -> str:
    """Never agrees with itself about its arguments."""
    trace(f"shout {text}")
    return text


@declare(Declaration(review=None, idempotent=True))
@tool
def chinese(count: int) -> str:
    """A text whose characters have three bytes each."""
    return "中" * count


@declare(Declaration(review=None))
@tool
def hang(name: str) -> str:
    """Waits until the test lets it go."""
    RELEASED.wait(30)
    return "back"


@declare(Declaration(review=None, idempotent=True))
@tool
def command(text: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[None]:
    """Gives a command to the graph in place of a text."""
    trace(f"command {text}")
    return Command(update={"messages": [ToolMessage(text, tool_call_id=tool_call_id)]})


@tool
def press() -> str:
    """Has no arguments."""
    trace("press")
    return "pressed"


ENDS: dict[str, type[BaseException]] = {
    "CancelledError": asyncio.CancelledError,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "StopIteration": StopIteration,
    "TimeoutError": TimeoutError,
    "RecursionError": RecursionError,
}


@tool
def pay_and_raise(how: str) -> str:
    """Ends with an exception after its effect."""
    trace(f"pay_and_raise {how}")
    if how == "ExceptionGroup":
        raise BaseExceptionGroup("several", [asyncio.CancelledError()])
    raise ENDS[how]("after the effect")


@declare(Declaration(review=None))
@tool
def free_and_raise(how: str) -> str:
    """The same, and free."""
    trace(f"free_and_raise {how}")
    raise ENDS[how]("after the effect")


@tool
async def pay_and_be_cancelled(amount: float) -> str:
    """A coroutine that is cancelled after its effect."""
    trace(f"pay_and_be_cancelled {amount:g}")
    raise asyncio.CancelledError


@tool
def pay_then_invalid(amount: float) -> str:
    """Its body raises the error that a schema raises."""
    trace(f"pay_then_invalid {amount:g}")
    return str(pydantic.TypeAdapter(int).validate_python("no number"))


pay_then_invalid.handle_validation_error = True


@declare(Declaration(review=None))
@tool
def say_it_failed(text: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> ToolMessage:
    """Tells by its result that it failed."""
    return ToolMessage(text, tool_call_id=tool_call_id, status="error")


@declare(Declaration(review=None))
@tool
def say_several(texts: list[str], tool_call_id: Annotated[str, InjectedToolCallId]) -> list[Command[None]]:
    """Gives several things at once."""
    trace("say_several")
    message = ToolMessage(texts[0], tool_call_id=tool_call_id)
    return [Command(update={"messages": [message]}), Command(update={})]
