"""Buffers for clients that send or read slowly, so that no thread waits for them."""

import contextlib
import select
import socket
from typing import Any

import h11

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = 128 * 1024  # bytes; more than gunicorn accepts, so that gunicorn refuses longer ones
CHUNK = 64 * 1024  # bytes to read at once
UNSENT = 2 * 1024 * 1024  # bytes of a response that may wait for the client while the thread continues
STALL = 15.0  # seconds that a thread waits for a client that is behind by more than UNSENT, or for data


class Arrival:
    """A request that is arriving: its bytes so far, and whether it is complete."""

    def __init__(self, longest_body: int) -> None:
        self.data = bytearray()
        self.whole = False  # a thread can read all of it without waiting
        self.ready = False  # it is whole, or enough has arrived to refuse it
        self._longest = longest_body
        self._body = 0
        self._told = False
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD)

    def add(self, data: bytes) -> bytes:
        """Add received data. Return the "100 Continue" that the client waits for, else nothing."""
        self.data += data
        if self.ready:
            return b""
        try:
            self._parser.receive_data(data)
            self._look()
        except (h11.RemoteProtocolError, ValueError):  # Python does not parse a length of 5,000 digits
            self.ready = True  # gunicorn reports the error
        waits = not self.ready and self._parser.they_are_waiting_for_100_continue
        if waits and not self._told:
            self._told = True
            return CONTINUE
        return b""

    def _look(self) -> None:
        while True:
            event = self._parser.next_event()
            if event is h11.NEED_DATA:
                return
            if isinstance(event, h11.Request):
                lengths = [value for name, value in event.headers if name == b"content-length"]
                self.ready = bool(lengths) and int(lengths[0]) > self._longest
            elif isinstance(event, h11.Data):
                self._body += len(event.data)
                self.ready = self.ready or self._body > self._longest
            else:  # the end of the request, or a switch to another protocol
                self.whole = self.ready = True
            if self.ready:
                return


class ClientSocket:
    """Client socket whose `sendall` buffers what the client does not accept yet and returns at once.

    Only the responding thread uses it until the response is done; then the server's loop continues with `flush`. The
    socket itself is non-blocking: a thread that reads waits in `recv`, at most STALL seconds.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._patience: float | None = None
        self.unsent = bytearray()
        self.is_read = False  # True: ignore further data
        self.taken: Any = None  # what the rest of the response is, if the hub's loop sends it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def setblocking(self, flag: bool) -> None:
        self._patience = None if flag else 0.0

    def settimeout(self, seconds: float | None) -> None:
        self._patience = seconds

    def gettimeout(self) -> float | None:
        return self._patience

    def recv(self, size: int) -> bytes:
        """Receive data. Raises TimeoutError when none arrives. A whole request is in memory already."""
        if self.is_read:
            return b""
        seconds = STALL if self._patience is None else min(self._patience, STALL)
        if not self._becomes(select.POLLIN, seconds):
            raise TimeoutError("the client does not send")
        return self._socket.recv(size)

    def send(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Send or buffer the data. Raises TimeoutError when more than UNSENT waits and the client reads nothing."""
        self.unsent += data
        self.flush()
        while len(self.unsent) > UNSENT:
            if not self._becomes(select.POLLOUT, STALL):
                raise TimeoutError("the client does not read its answer")
            self.flush()

    def flush(self) -> None:
        """Send as much as the client accepts now. Raises OSError when the client is gone."""
        while self.unsent:
            try:
                sent = self._socket.send(self.unsent[:CHUNK])
            except BlockingIOError:
                return
            del self.unsent[:sent]

    def read(self) -> bytes | None:
        """Return received data, b"" when the client is gone, or None when nothing has arrived."""
        try:
            return self._socket.recv(CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def hang_up(self) -> None:
        """Shut down sending.

        The caller must keep reading for a moment: closing with unread data would lose the end of the response.
        """
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _becomes(self, event: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, event)
        return bool(poll.poll(seconds * 1000))
