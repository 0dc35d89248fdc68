"""Graphs whose nodes call tools, models and sub-agents by hand, as one finds them in tutorials."""

from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import RetryPolicy

from agents.runtime.registry import Agent
from tests.support.odd_graphs import bare_agent

RETRY = RetryPolicy(initial_interval=0.01, jitter=False)


def node_with_a_loop(agent: Agent) -> Any:
    """The model and the tools take turns inside one node: each time that it is run again, the calls have new ids."""
    model = agent.model().bind_tools(list(agent.tools))

    def loop(state: MessagesState) -> Any:
        messages = list(state["messages"])
        while True:
            said = model.invoke(messages)
            messages.append(said)
            if not said.tool_calls:
                return {"messages": messages[len(state["messages"]) :]}
            messages += [agent.tool(call["name"]).invoke(call) for call in said.tool_calls]  # type: ignore[union-attr]

    return _one(loop)


def tool_node_by_hand(agent: Agent) -> Any:
    """A node that uses LangGraph's ToolNode twice, each time with the same ids."""
    tools = ToolNode(list(agent.tools))
    call = {"name": "charge", "args": {"amount": 3}, "id": "same", "type": "tool_call"}

    def pay(state: MessagesState) -> Any:
        messages = [*state["messages"], AIMessage("", id="same", tool_calls=[call])]
        return _said([tools.invoke({"messages": messages})["messages"][0].content for _ in range(2)])

    return _one(pay)


def retried_sub_agent(agent: Agent) -> Any:
    """A subgraph whose node is retried after its first step has run a free tool."""
    failed: list[int] = []

    def pay(state: MessagesState) -> Any:
        return _said(agent.tool("free_charge").invoke({"amount": 3}))  # type: ignore[union-attr]

    def fail_once(state: MessagesState) -> Any:
        if not failed:
            failed.append(1)
            raise ConnectionError("try the node again")
        return _said("done")

    inner = StateGraph(MessagesState)
    inner.add_node("pay", pay)
    inner.add_node("fail_once", fail_once)
    inner.add_edge(START, "pay")
    inner.add_edge("pay", "fail_once")
    inner.add_edge("fail_once", END)
    return _one(inner.compile(), retry_policy=RETRY)


def swallowing(agent: Agent) -> Any:
    """A node that catches everything, also LangGraph's interrupt."""

    def pay(state: MessagesState) -> Any:
        try:
            return _said(agent.tool("charge").invoke({"amount": 3}))  # type: ignore[union-attr]
        except Exception:
            return _said("it did not work")

    return _one(pay)


def with_a_thread_of_its_own(agent: Agent) -> Any:
    """A sub-agent with another thread: it pauses for itself, and nobody hears of it."""
    inner = create_agent(agent.model(), tools=list(agent.tools), checkpointer=InMemorySaver())

    @tool
    def ask_worker(text: str) -> str:
        """Ask the worker."""
        config: Any = {"configurable": {"thread_id": "its own"}}
        return str(inner.invoke({"messages": [HumanMessage(text)]}, config)["messages"][-1].content)

    return create_agent(agent.model(), tools=[ask_worker])


def without_checkpointer(agent: Agent) -> Any:
    """A sub-agent that can't pause."""
    return _one(create_agent(agent.model(), tools=list(agent.tools), checkpointer=False))


def with_what_the_model_wrote(agent: Agent) -> Any:
    """A node that hands a model's call on as it is, with an argument that the model was never offered."""

    def act(state: MessagesState) -> Any:
        args = {"amount": 3, "user": "mallory"}
        call = {"name": "on_behalf", "args": args, "id": "call_1", "type": "tool_call"}
        result: ToolMessage = agent.tool("on_behalf").invoke(call)  # type: ignore[union-attr]
        return _said(result.content)

    return _one(act)


def with_sets(agent: Agent) -> Any:
    """A node that calls a free tool with values that are no JSON."""

    def tag(state: MessagesState) -> Any:
        return _said(agent.tool("free_tagged").invoke({"tags": {"a", "b", "c"}, "price": 2}))  # type: ignore[union-attr]

    return _one(tag)


def sub_agent_twice(agent: Agent) -> Any:
    """A node that has the same sub-agent do the same thing twice."""
    inner = bare_agent(agent)

    def both(state: MessagesState) -> Any:
        asked = {"messages": [HumanMessage(str(state["messages"][-1].content))]}
        return _said([inner.invoke(asked)["messages"][-1].content for _ in range(2)])

    return _one(both)


def _one(node: Any, **options: Any) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("node", node, **options)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return graph


def _said(what: Any) -> dict[str, Any]:
    return {"messages": [AIMessage(str(what))]}
