"""Tools of the demo. They have no effect: each only returns what a real one would have reported.

A worker without them (AGENT_TOOLS) replies to the model that there is no such tool; nothing breaks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, Literal

from langchain_core.tools import tool
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field

from agents.policy import DAY, REQUESTER, REVIEWERS, Declaration, Terms, declare
from agents.tool_context import current_call

_is_out: ContextVar[bool] = ContextVar("demo_payment_gateway_is_out", default=False)


@contextmanager
def outage() -> Iterator[None]:
    """Make the payment gateway time out inside the block, which leaves its call in doubt."""
    reset = _is_out.set(True)
    try:
        yield
    finally:
        _is_out.reset(reset)


def _reference(prefix: str) -> str:
    """Return a reference number derived from the idempotency key, as an idempotent system would."""
    return f"{prefix}-{current_call().idempotency_key.replace('-', '')[:6].upper()}"


class Address(BaseModel):
    """Where a customer lives."""

    street: str
    postcode: str = Field(max_length=12)
    city: str
    country: Literal["DE", "FR", "GB", "CN", "US"] = "DE"


class Changes(BaseModel):
    """What is to become of a customer's record; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    email: str | None = None
    phone: str | None = None
    tier: Literal["standard", "silver", "gold"] | None = None
    newsletter: bool | None = None
    tags: list[str] = []
    address: Address | None = None


Order = Annotated[str, Field(pattern=r"^[A-Z]-\d{4,6}$", description="Number of the order, such as A-1042")]
Reason = Literal["damaged", "late", "wrong item", "not received", "goodwill"]
Currency = Literal["EUR", "USD", "CNY"]


def refund_preview(args: dict[str, Any]) -> str:
    """Return what the call would do, for the reviewer."""
    told = "and tells the customer" if args["notify_customer"] else "without a word to the customer"
    return f"Pays {args['amount']:.2f} {args['currency']} back for order {args['order']}, {told}."


@declare(
    Declaration(
        review=Terms(risk="medium", deciders=(REVIEWERS,), seconds=2 * DAY), plain_result=True, preview=refund_preview
    )
)
@tool
def issue_refund(
    order: Order,
    amount: Annotated[float, Field(gt=0, le=5000)],
    reason: Reason,
    currency: Currency = "EUR",
    notify_customer: bool = True,
    note: Annotated[str, Field(max_length=500, description="For the books; the customer does not see it")] = "",
) -> str:
    """Pay money back for an order."""
    if _is_out.get():
        raise TimeoutError("the payment gateway did not answer within 20 s")
    return f"Refunded {amount:.2f} {currency} for order {order}, reference {_reference('R')}."


def update_preview(args: dict[str, Any]) -> str:
    """Return what the call would do, for the reviewer."""
    names = [name for name, value in args["changes"].items() if value not in (None, [])]
    return f"Changes {', '.join(names) or 'nothing'} of customer {args['customer']}."


@declare(
    Declaration(
        # A late change of address does no harm, but one that is dropped unseen does.
        review=Terms(risk="low", deciders=(REQUESTER, REVIEWERS), seconds=3 * DAY, on_expiry="wait"),
        plain_result=True,
        preview=update_preview,
    )
)
@tool
def update_customer(
    customer: Annotated[str, Field(pattern=r"^C-\d{4,6}$", description="Number of the customer, such as C-20417")],
    changes: Changes,
) -> str:
    """Change the record of a customer."""
    return f"Customer {customer} is up to date, revision {_reference('V')}."


def delete_preview(args: dict[str, Any]) -> str:
    """Return what the call would do, for the reviewer."""
    count = len(args["files"])
    where = "for good" if args["permanently"] else "into the bin, where they stay for 30 days"
    return f"Deletes {count} file{'' if count == 1 else 's'} of {args['folder']} {where}."


@declare(
    Declaration(
        review=Terms(risk="high", deciders=(REVIEWERS,), distinct=True, seconds=DAY),
        plain_result=True,
        preview=delete_preview,
    )
)
@tool
def delete_files(
    folder: Annotated[str, Field(max_length=300)],
    files: Annotated[list[str], Field(min_length=1, max_length=50)],
    permanently: bool = False,
) -> str:
    """Delete files of the shared drive."""
    count = len(files)
    return f"Deleted {count} file{'' if count == 1 else 's'} of {folder}, job {_reference('J')}."


@declare(
    Declaration(
        review=Terms(risk="medium", deciders=(REVIEWERS,), seconds=3 * DAY),
        plain_result=True,
        preview=lambda args: f"Posts “{args['title']}” to {args['channel']}.",
    )
)
@tool
def post_announcement(
    channel: Literal["all staff", "customers", "status page", "team leads"],
    title: Annotated[str, Field(min_length=1, max_length=120)],
    text: Annotated[str, Field(min_length=1, max_length=10_000)],
    pin: bool = False,
    languages: list[Literal["en", "zh", "de", "fr"]] = ["en"],  # noqa: B006 (pydantic copies it)
) -> str:
    """Post an announcement."""
    return f"Posted “{title}” to {channel}, post {_reference('P')}."


# Not plain_result: its results hold text by customers, so a memory made after them waits for approval.
@declare(Declaration(review=None, idempotent=True))
@tool
def look_up_order(order: Order) -> str:
    """Look an order up in the shop."""
    number = int(order.partition("-")[2])
    state = ("delivered", "delivered to a neighbour", "delivered", "delivered, signed for")[number % 4]
    return f"Order {order}: {1 + number % 3} item(s), paid, {state}. Note of the customer: “please ring twice”."


@declare(Declaration(review=None, idempotent=True, plain_result=True))
@tool
def ask_the_team(question: Annotated[str, Field(min_length=1, max_length=1000)]) -> str:
    """Ask the people at the desk something that only they know."""
    return f"The team says: {interrupt(question)}"
