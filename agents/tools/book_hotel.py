"""Sample tool with an effect. The idempotency key determines its confirmation number."""

from typing import Annotated, Any

from langchain_core.tools import tool
from pydantic import Field

from agents.policy import REQUESTER, REVIEWERS, Declaration, Terms, declare
from agents.tool_context import current_call


def preview(args: dict[str, Any]) -> str:
    """Describe the effect of the call for the reviewer."""
    nights = args["nights"]
    return f"Books {args['hotel_name']} for {nights} night{'' if nights == 1 else 's'}."


@declare(Declaration(review=Terms(risk="medium", deciders=(REQUESTER, REVIEWERS)), plain_result=True, preview=preview))
@tool
def book_hotel(
    hotel_name: Annotated[str, Field(min_length=1, max_length=200)], nights: Annotated[int, Field(ge=1, le=60)] = 1
) -> str:
    """Book a hotel for a number of nights."""
    confirmation = current_call().idempotency_key.replace("-", "")[:8].upper()
    return f"Booked {hotel_name} for {nights} night{'' if nights == 1 else 's'}, confirmation {confirmation}."
