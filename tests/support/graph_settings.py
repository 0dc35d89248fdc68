"""The settings of a worker that has an agent for each graph of `tests.support.odd_graphs`."""

from agentsite.settings import *  # noqa: F403
from agentsite.settings import AGENTS as _AGENTS

NAMES = (
    *("tool_node", "bare_agent", "own_agent", "subgraph", "supervisor", "swarm", "deep", "deep_with_gate"),
    "agent_as_tool",
)
AGENTS = {**_AGENTS, **{name: {**_AGENTS["default"], "GRAPH": f"tests.support.odd_graphs.{name}"} for name in NAMES}}
