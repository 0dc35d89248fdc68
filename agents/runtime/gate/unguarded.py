"""Search for the tools that a graph runs without a review: those that the registry did not hand out."""

from collections.abc import Iterator
from typing import Any

from langgraph.prebuilt import ToolNode

from agents.runtime.gate.guard import Guard
from agents.runtime.middleware.tool_gate import Gate

DEPTH = 12  # levels of functions that wrap one another


def names(graph: Any) -> list[str]:
    """Return the names of the unguarded tools in the tool nodes of the graph and of its subgraphs.

    A sub-agent inside a tool is not visible here.
    """
    graphs = [graph, *(subgraph for _, subgraph in graph.get_subgraphs(recurse=True))]
    return sorted({name for one in graphs for node in one.nodes.values() for name in _of(node.bound)})


def _of(node: Any) -> Iterator[str]:
    if not isinstance(node, ToolNode) or _reaches_gate(node._wrap_tool_call, DEPTH):
        return
    yield from (name for name, tool in node.tools_by_name.items() if not isinstance(tool, Guard))


def _reaches_gate(function: Any, depth: int) -> bool:
    """Return whether our gate is among the wrappers of the calls, which LangChain chains in closures."""
    if isinstance(getattr(function, "__self__", None), Gate):
        return True
    cells = getattr(function, "__closure__", None) or ()
    return depth > 0 and any(_reaches_gate(value, depth - 1) for cell in cells for value in _contents(cell))


def _contents(cell: Any) -> list[Any]:
    try:
        found = cell.cell_contents
    except ValueError:  # still empty
        return []
    return list(found) if isinstance(found, list | tuple) else [found]
