"""The default agent: LangChain's `create_agent` with our middleware."""

from typing import Any

from langchain.agents import create_agent

from agents.runtime.middleware.model_calls import ModelCalls
from agents.runtime.middleware.tool_gate import Gate
from agents.runtime.registry import Agent
from agents.runtime.run_context import Run


def build(agent: Agent) -> Any:
    """Return the compiled graph, where model and tools take turns until the model answers without a call."""
    return create_agent(
        agent.model(),
        tools=list(agent.tools),
        middleware=[ModelCalls(), Gate()],
        context_schema=Run,
    )
