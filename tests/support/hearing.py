"""A listener to models' answers that keeps what it is told."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Kept:
    """One answer as it was told."""

    message_id: str
    deltas: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def text(self, delta: str) -> None:
        self.deltas.append(delta)

    def reasoning(self, delta: str) -> None:
        self.thoughts.append(delta)

    def end(self) -> None:
        self.ends.append("end")

    def abandoned(self) -> None:
        self.ends.append("abandoned")


class Keeper:
    """Keeps the answers of all requests, in the order in which they were sent."""

    def __init__(self) -> None:
        self.answers: list[Kept] = []

    def begin(self, message_id: str) -> Kept:
        self.answers.append(Kept(message_id))
        return self.answers[-1]

    @property
    def ends(self) -> list[str]:
        return [end for answer in self.answers for end in answer.ends]

    @property
    def text(self) -> str:
        """The text of the last answer."""
        return "".join(self.answers[-1].deltas)


class Broken:
    """A listener that can't listen: from its beginning, or at the first text."""

    def __init__(self, *, at_once: bool) -> None:
        self.at_once = at_once

    def begin(self, message_id: str) -> Any:
        if self.at_once:
            raise OSError("nobody can be told")
        return self

    def text(self, delta: str) -> None:
        raise OSError("nobody can be told")

    reasoning = text

    def end(self) -> None:
        raise OSError("nobody can be told")

    abandoned = end
