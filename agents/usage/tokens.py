"""Tokens of one model call, as far as its endpoint reported them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tokens:
    """Counts of one call; None where the endpoint did not report one that can be right."""

    input: int | None = None  # with the cached ones
    cached: int | None = None
    output: int | None = None  # with those of reasoning
    reasoning: int | None = None


NOTHING = Tokens()
