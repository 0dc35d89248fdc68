"""Events of tasks, and their way out of a stream of bytes."""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

from agentsite_client.errors import AgentsiteError
from agentsite_client.types import ActionRequest, Message

Status = Literal["pending", "running", "interrupted", "completed", "error", "cancelled"]
Kind = TypeVar("Kind", bound=str)
Data = TypeVar("Data")


class StatusData(TypedDict):
    """The task has this status now."""

    status: Status
    message: NotRequired[str]


class ToolStarted(TypedDict):
    """A tool call begins."""

    name: str
    tool_call_id: str
    message_id: str


class ToolFinished(ToolStarted):
    """A tool call is over."""

    status: str


class Asked(TypedDict):
    """A question waits for a person."""

    interrupt_id: str
    interrupt_type: Literal["tool_call", "question", "in_doubt", "budget"]
    action_request: ActionRequest
    description: str


class Decided(TypedDict):
    """A question was answered."""

    interrupt_id: str
    response_type: str
    by: str


class Custom(TypedDict):
    """What the graph wrote."""

    value: Any


class Chunk(TypedDict):
    """A piece of a message that the model writes. The finished message follows under the same ID."""

    message_id: str
    position: int  # of its first character in the text
    text: str
    kind: Literal["text", "reasoning"]


class End(TypedDict):
    """The last event. `not_found`: the task, or the session, was deleted."""

    status: Literal["completed", "error", "cancelled", "not_found"]


@dataclass(frozen=True)
class TaskEvent(Generic[Kind, Data]):
    """What happened in a task. `data` depends on `kind`.

    Attributes:
        id: the cursor, for `after` of another stream. Empty for `chunk` and `end`.
        seq: counts a task's events from 1 without gaps. 0 for `chunk` and `end`.
        at: when it happened, as the service writes it. Empty for `chunk` and `end`.
    """

    kind: Kind
    data: Data
    task_id: str = ""
    id: str = ""
    seq: int = 0
    at: str = ""


# A newer service may send other kinds: they come as they are.
Event = (
    TaskEvent[Literal["status"], StatusData]
    | TaskEvent[Literal["message"], Message]
    | TaskEvent[Literal["tool_started"], ToolStarted]
    | TaskEvent[Literal["tool_finished"], ToolFinished]
    | TaskEvent[Literal["interrupt"], Asked]
    | TaskEvent[Literal["decision"], Decided]
    | TaskEvent[Literal["custom"], Custom]
    | TaskEvent[Literal["chunk"], Chunk]
    | TaskEvent[Literal["end"], End]
)


class Decoder:
    """Reads the events of one connection from its bytes, however these are cut."""

    def __init__(self) -> None:
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._fields: dict[str, list[str]] = {}

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the events that these bytes complete. Raises AgentsiteError if one is none of the service."""
        self._rest += self._characters.decode(data)
        *lines, self._rest = self._rest.replace("\r\n", "\n").split("\n")
        for line in lines:
            name, _, value = line.partition(":")
            if line:
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
                continue
            fields, self._fields = self._fields, {}
            if "data" in fields:
                yield _event(fields)


def _event(fields: dict[str, list[str]]) -> Any:
    kind, id_ = fields.get("event", ["message"])[-1], fields.get("id", [""])[-1]
    try:
        body = json.loads("\n".join(fields["data"]))
        if kind == "end":
            return TaskEvent(kind, body)
        if kind == "chunk":
            return TaskEvent(kind, {name: body[name] for name in Chunk.__annotations__}, body["task_id"])
        return TaskEvent(kind, body["data"], body["task_id"], id_, body["seq"], body["at"])
    except (ValueError, KeyError, TypeError) as error:
        raise AgentsiteError(f"The stream has sent an event that is none: {error!r}") from error


class Texts:
    """Which pieces of messages a reader has, over all the connections of a stream."""

    def __init__(self) -> None:
        self._length: dict[tuple[str, str, str], int] = {}  # by task, message and kind of text
        self._finished: set[tuple[str, str | None]] = set()

    def rest_of(self, event: Any) -> Any:
        """Return the event, a chunk without what came before, or None if nothing of it is new.

        After a reconnection the service sends the beginning of a message again. A piece behind a gap is left out: the
        finished message has it.
        """
        if event.kind == "message":
            self._finished.add((event.task_id, event.data.get("id")))
        if event.kind != "chunk":
            return event
        message, position, text = event.data["message_id"], event.data["position"], event.data["text"]
        key = (event.task_id, message, event.data["kind"])
        known = self._length.get(key, 0)
        end = position + len(text)
        if (event.task_id, message) in self._finished or position > known or end <= known:
            return None
        self._length[key] = end
        return TaskEvent(event.kind, event.data | {"position": known, "text": text[known - position :]}, event.task_id)


def text_of(message: Message) -> str:
    """Return the text of a message, whose content may be blocks."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(str(block.get("text") or "") if isinstance(block, dict) else str(block) for block in content)
