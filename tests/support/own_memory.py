"""Memory strategies of one's own."""

from typing import Any

from typing_extensions import override

from memory.strategies import Recalled


class Notebook:
    """Knows one thing; is made without arguments."""

    def recall(self, user_id: str, session: str, query: str) -> list[Recalled]:
        return [Recalled("1", f"{user_id} asked the notebook about {query}", "fact")]

    def remember(self, task: Any) -> None:
        """Nothing."""


class Named(Notebook):
    """Is told for which agent it is made."""

    def __init__(self, **options: Any) -> None:
        self.agent = options["agent"]

    @override
    def recall(self, user_id: str, session: str, query: str) -> list[Recalled]:
        return [Recalled("1", f"this is {self.agent}'s notebook", "fact")]
