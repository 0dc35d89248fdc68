"""Tool that sends mail through Django's mail backend."""

from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from langchain_core.tools import ToolException, tool
from pydantic import Field

from agents.policy import REVIEWERS, Declaration, Terms, declare
from agents.tool_context import current_call


def preview(args: dict[str, Any]) -> str:
    """Describe the effect of the call for the reviewer."""
    return f"Sends an e-mail to {args['to']}: {args['subject']}"


@declare(
    Declaration(review=Terms(risk="high", deciders=(REVIEWERS,), distinct=True), plain_result=True, preview=preview)
)
@tool
def send_email(
    to: Annotated[str, Field(max_length=254, description="One e-mail address")],
    subject: Annotated[str, Field(max_length=200)],
    body: Annotated[str, Field(max_length=20_000)],
) -> str:
    """Send an e-mail to one person."""
    try:
        validate_email(to)
    except ValidationError as error:
        raise ToolException(f"{to!r} is not an email address.") from error
    if "\n" in subject or "\r" in subject:
        raise ToolException("A subject must have one line.")
    headers = {"Message-ID": f"<{current_call().idempotency_key}@agentsite>"}
    EmailMessage(subject, body, to=[to], headers=headers).send()
    return f"Sent to {to}."
