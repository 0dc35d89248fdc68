"""A tool whose name the oracle has already."""

from langchain_core.tools import tool


@tool
def charge(amount: float) -> str:
    """Also charges."""
    return "twice"
