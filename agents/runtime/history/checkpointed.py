"""Reading of the messages that a task has in its checkpoints."""

from typing import Any

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import add_messages
from langgraph.types import StateSnapshot

from agents.checkpoints import fenced_saver
from agents.models import Task
from agents.runtime import registry


def messages_of(task: Task) -> list[AnyMessage]:
    """Return the messages in the newest checkpoint of a task that has ended, or none if it has no checkpoint.

    They include those that a part of its last step has written while others were still running. Raises Misconfigured
    if its agent is no longer there, and whatever a checkpoint that can't be read raises.
    """
    attempt = task.attempts.select_related("task").order_by("-token").first()
    if attempt is None:
        return []
    config: RunnableConfig = {"configurable": {"thread_id": str(task.pk)}}
    with fenced_saver.saver_of(attempt) as saver:
        graph = registry.graph(task.agent).copy(update={"checkpointer": saver})
        return _messages(graph.get_state(config, subgraphs=True), str(task.pk))


def _messages(state: StateSnapshot, question: str) -> list[AnyMessage]:
    """Return the state's messages, and those that its unfinished subgraphs have added to the same conversation.

    Args:
        question: the id of the message with the task's query. A subgraph without it has a conversation of its own.
    """
    messages: Any = list(state.values.get("messages", []))
    for node in state.tasks:
        if isinstance(node.state, StateSnapshot):
            inner: Any = _messages(node.state, question)
            if any(message.id == question for message in inner):
                messages = add_messages(messages, inner)
    return list(messages)
