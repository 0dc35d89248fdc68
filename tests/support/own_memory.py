"""Memory strategies of one's own."""

from typing import Any

from typing_extensions import override

from agents.runtime import registry
from memory import services as memories
from memory.models import Memory
from memory.strategies import Recalled


class Notebook:
    """Knows one thing; is made without arguments."""

    def recall(self, user_id: str, session: str, query: str) -> list[Recalled]:
        return [Recalled("1", f"{user_id} asked the notebook about {query}", "fact")]


class Named(Notebook):
    """Is told for which agent it is made."""

    def __init__(self, **options: Any) -> None:
        self.agent = options["agent"]

    @override
    def recall(self, user_id: str, session: str, query: str) -> list[Recalled]:
        return [Recalled("1", f"this is {self.agent}'s notebook", "fact")]


class Summary(Notebook):
    """Asks the model for a summary of each task that has completed."""

    def remember(self, task: Any) -> None:
        registry.agent(task.agent).model().invoke(f"sum up: {task.query}")


class Diary(Notebook):
    """Keeps a line of each task that has completed, and fails on what it does not like."""

    def remember(self, task: Any) -> None:
        if "secret" in task.query:
            raise ValueError("not in my diary")
        text = f"asked: {task.query}"
        memories.add(task.session.user_id, text, source=Memory.Source.AGENT, source_task_id=task.pk, trusted=True)
