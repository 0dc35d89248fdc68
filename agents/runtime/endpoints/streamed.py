"""Requests whose answers are listened to: streamed where the endpoint can, and read to the same body as any other.

The chunks are read here and not by the client's own parser, which would reject a whole answer for one odd part of it.
"""

import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from http.client import IncompleteRead
from itertools import chain
from typing import Any

import openai

from agents.runtime.endpoints import event_stream, http_clients, responses
from agents.runtime.endpoints.chunks import Joined, said
from agents.runtime.endpoints.joining import Parts
from agents.runtime.endpoints.listening import MESSAGE_ID, Heard, Hearing

Send = Callable[..., Any]  # takes fields of the request to replace, and returns the client's raw response

LARGEST = 64 * 2**20  # bytes of a stream, unpacked: each token may take some hundred of them
AFTER_END = 0.5  # seconds for the rest after the last event, so that the connection can be used again
REMEMBERED = 3600.0  # seconds for which an endpoint is not asked again for what it has refused
REFUSALS = {400, 404, 405, 415, 422, 501}
USAGE = {"include_usage": True}
DONE = b"[DONE]"
_STREAM = re.compile(r"\bstream(?!_options)(ing|ed|s)?\b", re.IGNORECASE)


class Asker:
    """Requests of one client. It remembers what its endpoint has refused."""

    def __init__(self) -> None:
        self._refused: dict[str, float] = {}  # field -> until when, by time.monotonic()

    def ask(self, send: Send, hearing: Hearing) -> "Answer":
        """Send the request, and read the answer while the listener gets its text. Raises the client's exceptions."""
        while True:
            fields = self._fields()
            with hearing.answer() as heard:
                try:
                    response = send(**fields)
                except openai.APIStatusError as error:
                    if not self._has_refused(error, fields):
                        raise
                    continue
                body = _read(response.http_response, heard) if fields else _read_whole(response.http_response, heard)
                return Answer(response, body)

    def _fields(self) -> Parts:
        refused = {field for field, until in self._refused.items() if time.monotonic() < until}
        fields = {} if "stream" in refused else {"stream": True, "stream_options": USAGE}
        return {name: value for name, value in fields.items() if name not in refused}

    def _has_refused(self, error: openai.APIStatusError, fields: Parts) -> bool:
        """Return whether the endpoint has refused one of these fields, and remember it."""
        words = f"{error} {error.body or ''}"
        if error.status_code not in REFUSALS or not fields:
            return False
        if "stream_options" in fields and re.search("stream_options|include_usage", words):
            field = "stream_options"
        elif _STREAM.search(words):
            field = "stream"
        else:
            return False
        self._refused[field] = time.monotonic() + REMEMBERED
        return True


class Answer:
    """A raw response of the client, with the body that was read from it."""

    def __init__(self, response: Any, body: Any) -> None:
        self.http_response = response.http_response
        self.headers = response.headers
        self._body = body

    def parse(self) -> Any:
        """Return the body."""
        return self._body


def _read(response: Any, heard: Heard) -> Any:
    """Return the unstreamed body that the response amounts to. Raises the client's exceptions."""
    with closing(_pieces(response)) as pieces:
        lines = event_stream.lines(pieces)
        first = next(filter(bytes.strip, lines), b"")
        if not event_stream.begins_with(first):  # an endpoint that doesn't stream, or an error page
            return _whole(response, b"\n".join([first, *lines]), heard)
        joined, data = Joined(), b""
        for event in event_stream.events(chain([first], lines)):
            if event.data.strip() == DONE:
                _exhaust(pieces)
                break
            chunk = responses.decoded(event.data)
            if event.name == "error" or isinstance(chunk, list) or (isinstance(chunk, dict) and chunk.get("error")):
                http_clients.note_text(response, event.data)
                return chunk if isinstance(chunk, dict) and chunk.get("error") else {"error": chunk or event.name}
            if isinstance(chunk, dict):
                data = event.data
                heard.tell(*said(joined.add(chunk)))
            elif event.data.lstrip()[:1] == b"{":
                raise _broken_off(response)
        else:
            if joined.has_begun and not joined.is_finished:
                raise _broken_off(response)
    http_clients.note_text(response, data)
    return _heard(joined.body(), heard)


def _read_whole(response: Any, heard: Heard) -> Any:
    return _whole(response, response.content, heard)


def _whole(response: Any, content: bytes, heard: Heard) -> Any:
    """Return an unstreamed body, and tell its text."""
    http_clients.note_text(response, content)
    body = responses.decoded(content)
    if not isinstance(body, dict):
        return content.decode(errors="replace")
    joined = Joined()
    heard.tell(*said(joined.add(body)))
    return _heard(body, heard)


def _heard(body: Parts, heard: Heard) -> Parts:
    """Return the body with the id under which it was told, if it is an answer."""
    choices = body.get("choices")
    heard.is_whole = bool(choices) and isinstance(choices, list) and not body.get("error")
    return {**body, MESSAGE_ID: heard.message_id}


def _pieces(response: Any) -> Generator[bytes]:
    """Yield the bytes of the body as they come. Raises the exceptions of the client for those of its HTTP library."""
    size = 0
    try:
        for piece in response.iter_bytes():
            size += len(piece)
            if size > LARGEST:
                raise _broken_off(response)
            yield piece
    except openai.APIError:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in http_clients.HTTP_LIBRARIES:
            raise
        if "Timeout" in type(error).__name__:
            raise openai.APITimeoutError(request=response.request) from error
        raise openai.APIConnectionError(request=response.request) from error
    finally:
        response.close()


def _exhaust(pieces: Iterator[bytes]) -> None:
    with suppress(openai.APIError), http_clients.hurry(AFTER_END):  # the answer is whole, whatever comes now
        for _ in pieces:
            pass


def _broken_off(response: Any) -> openai.APIConnectionError:
    error = openai.APIConnectionError(request=response.request)
    error.__cause__ = IncompleteRead(b"")
    return error
