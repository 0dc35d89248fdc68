from langchain_core.tools import tool

from agents.policy import Declaration, declare


@declare(Declaration(review=None, idempotent=True, plain_result=True))
@tool
def multiply(a: float, b: float) -> str:
    """Multiply two numbers."""
    return f"{a * b:.15g}"
