"""Patch that lets a node that LangGraph retries continue with the sub-agents that it started.

LangGraph resumes them, but continues their numbering from the failed attempt: they would start over under another
number and repeat what they have done. After a crash, it numbers them from the first.
"""

from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.pregel import _retry
from langgraph.pregel._algo import LazyAtomicCounter

from agents.runtime.gate.call_site import SCRATCHPAD

_own = _retry._reset_interrupt_counter


def install() -> None:
    """Apply the patch in this process."""
    _retry._reset_interrupt_counter = _counted_anew


def _counted_anew(config: RunnableConfig) -> RunnableConfig:
    found = _own(config)
    inside: dict[str, Any] = found.get("configurable", {})
    scratchpad = inside.get(SCRATCHPAD)
    if scratchpad is None:
        return found
    scratchpad = replace(scratchpad, subgraph_counter=LazyAtomicCounter())
    return {**found, "configurable": {**inside, SCRATCHPAD: scratchpad}}
