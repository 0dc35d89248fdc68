"""Graphs as people build them with LangGraph and its companions, each with the tools that the registry hands out."""

from typing import Any

from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import RetryPolicy
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm

from agents.runtime.middleware.model_calls import ModelCalls
from agents.runtime.middleware.tool_gate import Gate
from agents.runtime.registry import Agent
from agents.runtime.run_context import Run, active_run
from tests.support.oracle import trace


def tool_node(agent: Agent) -> Any:
    """A plain StateGraph with LangGraph's own ToolNode, which swallows what it can."""
    model = agent.model().bind_tools(list(agent.tools))
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode(list(agent.tools), handle_tool_errors=True))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", _wants_tools, {True: "tools", False: END})
    graph.add_edge("tools", "model")
    return graph


def bare_agent(agent: Agent) -> Any:
    """`create_agent` without our middleware."""
    return create_agent(agent.model(), tools=list(agent.tools))


def own_agent(agent: Agent) -> Any:
    """`create_agent` with our middleware and a system prompt of its own."""
    middleware = [ModelCalls(), Gate()]
    tools = list(agent.tools)
    return create_agent(agent.model(), tools=tools, middleware=middleware, context_schema=Run, system_prompt="Be kind.")


def subgraph(agent: Agent) -> Any:
    """An agent as a node of another graph."""
    graph = StateGraph(MessagesState)
    graph.add_node("inner", bare_agent(agent))
    graph.add_edge(START, "inner")
    graph.add_edge("inner", END)
    return graph


def supervisor(agent: Agent) -> Any:
    """A supervisor with a worker that has the tools."""
    worker = create_agent(agent.model(), tools=list(agent.tools), name="worker")
    return create_supervisor([worker], model=agent.model(), output_mode="full_history")


def swarm(agent: Agent) -> Any:
    """Two agents that hand over to one another."""
    first = create_agent(agent.model(), tools=[create_handoff_tool(agent_name="worker")], name="first")
    worker = create_agent(agent.model(), tools=list(agent.tools), name="worker")
    return create_swarm([first, worker], default_active_agent="first")


def deep(agent: Agent) -> Any:
    """A deep agent as it comes: its built-in sub-agent has all tools."""
    return create_deep_agent(agent.model(), tools=list(agent.tools))


def deep_with_gate(agent: Agent) -> Any:
    """The same with our gate on the outer agent, so that its own tools are reviewed too."""
    return create_deep_agent(agent.model(), tools=list(agent.tools), middleware=[Gate()])


def agent_as_tool(agent: Agent) -> Any:
    """An agent that another one calls as a tool."""
    inner = bare_agent(agent)

    @tool
    def ask_worker(text: str) -> str:
        """Ask the worker."""
        return str(inner.invoke({"messages": [HumanMessage(text)]})["messages"][-1].content)

    return create_agent(agent.model(), tools=[ask_worker])


def own_agent_as_tool(agent: Agent) -> Any:
    """The same, both with our middleware."""
    inner = own_agent(agent)

    @tool
    def ask_worker(text: str) -> str:
        """Ask the worker."""
        found = inner.invoke({"messages": [HumanMessage(text)]}, context=active_run())
        return str(found["messages"][-1].content)

    return create_agent(agent.model(), tools=[ask_worker], middleware=[ModelCalls(), Gate()], context_schema=Run)


def workflow(agent: Agent) -> Any:
    """A graph without a model whose node calls a tool itself, twice with the same arguments, and is retried once."""
    charge = agent.tool("charge")
    failed: list[int] = []

    def pay(state: MessagesState) -> Any:
        assert charge is not None
        results = [charge.invoke({"amount": 3}) for _ in range(2)]
        if not failed:
            failed.append(1)
            raise ConnectionError("try the node again")
        return {"messages": [AIMessage(f"{results}")]}

    graph = StateGraph(MessagesState)
    graph.add_node("pay", pay, retry_policy=RetryPolicy(initial_interval=0.01, jitter=False))
    graph.add_edge(START, "pay")
    graph.add_edge("pay", END)
    return graph


def by_its_function(agent: Agent) -> Any:
    """A graph that calls a tool past its guard, by its bare function."""
    charge = agent.tool("charge")

    def pay(state: MessagesState) -> Any:
        try:
            said = charge.func(amount=3)  # type: ignore[union-attr]
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        return {"messages": [AIMessage(said)]}

    graph = StateGraph(MessagesState)
    graph.add_node("pay", pay)
    graph.add_edge(START, "pay")
    graph.add_edge("pay", END)
    return graph


@tool
def unguarded(amount: float) -> str:
    """A tool that a graph brings along by itself."""
    trace(f"unguarded {amount:g}")
    return "done"


def with_its_own_tool(agent: Agent) -> Any:
    """A graph that adds a tool of its own to those it was handed."""
    return create_agent(agent.model(), tools=[*agent.tools, unguarded])


def with_its_own_tool_and_gate(agent: Agent) -> Any:
    """The same behind our gate."""
    return create_agent(agent.model(), tools=[*agent.tools, unguarded], middleware=[ModelCalls(), Gate()])


def renamed(agent: Agent) -> Any:
    """A graph that gives a tool another name."""
    tools = [one.model_copy(update={"name": "pay"}) for one in agent.tools if one.name == "charge"]
    return create_agent(agent.model(), tools=tools)


def broken(agent: Agent) -> Any:
    """A graph that can't be built."""
    raise KeyError("a node that is missing")


def _wants_tools(state: MessagesState) -> bool:
    return bool(getattr(state["messages"][-1], "tool_calls", ()))
