"""Reading of the messages that a task has in its checkpoints."""

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig

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
        return list(graph.get_state(config).values.get("messages", []))
