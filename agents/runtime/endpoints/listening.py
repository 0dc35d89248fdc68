"""Listeners to a model's answers: they get the text while the endpoint still writes it.

A run that has a listener asks its endpoint to stream (`streamed`). The finished answer is the same without one.
"""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

logger = logging.getLogger(__name__)

MESSAGE_ID = "agentsite_message_id"  # in an answer that was listened to: the id under which it was told


class Draft(Protocol):
    """One answer while it comes. Exactly one of `end` and `abandoned` is called, and nothing after it."""

    def text(self, delta: str) -> None:
        """Take the next piece of the text for people."""

    def reasoning(self, delta: str) -> None:
        """Take the next piece of the model's reasoning."""

    def end(self) -> None:
        """Take note that the answer is whole. One that can't be used is dropped all the same, and asked for again."""

    def abandoned(self) -> None:
        """Take note that nothing of this answer counts: the request failed, or the run stopped."""


class Listener(Protocol):
    """Maker of drafts. A run's nodes may call models at once, so each answer has a draft of its own."""

    def begin(self, message_id: str) -> Draft:
        """Return the draft of an answer that is about to be asked for; the finished message will have this id."""


class Heard:
    """An answer that is told to a listener. The listener's own errors are logged and don't reach the model call."""

    def __init__(self, listener: Listener, message_id: str) -> None:
        self.message_id = message_id
        self.is_whole = False
        self._draft: Draft | None = None
        with self._harmless():
            self._draft = listener.begin(message_id)

    def tell(self, text: str, reasoning: str) -> None:
        """Pass these pieces on; an empty one is left out."""
        with self._harmless():
            if self._draft is not None and reasoning:
                self._draft.reasoning(reasoning)
            if self._draft is not None and text:
                self._draft.text(text)

    def close(self) -> None:
        """Tell how the answer ended."""
        draft, self._draft = self._draft, None
        if draft is not None:
            with self._harmless():
                (draft.end if self.is_whole else draft.abandoned)()

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._draft = None  # it listens no more
            logger.exception("the listener to the model's answer failed; the model call goes on without it")


class Hearing:
    """One model call of a graph, with a listener to the answers to its requests."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._ids: set[str] = set()

    @contextmanager
    def answer(self) -> Iterator[Heard]:
        """Listen to the answer to one request. It is abandoned unless `is_whole` is set inside the block."""
        message_id = str(uuid.uuid4())
        self._ids.add(message_id)
        heard = Heard(self._listener, message_id)
        try:
            yield heard
        finally:
            heard.close()

    def knows(self, message_id: object) -> bool:
        """Return whether an answer of this call was told under this id. Not so for one that comes from a cache."""
        return isinstance(message_id, str) and message_id in self._ids


_current: ContextVar[Hearing | None] = ContextVar("hearing of the current model call", default=None)


@contextmanager
def to(listener: Listener | None) -> Iterator[Hearing | None]:
    """Listen to the answers that models give to this thread inside the block; None: nobody listens."""
    hearing = None if listener is None else Hearing(listener)
    token = _current.set(hearing)
    try:
        yield hearing
    finally:
        _current.reset(token)


def current() -> Hearing | None:
    """Return the hearing of the model call in which this code runs, or None if nobody listens."""
    return _current.get()
