"""What a web server keeps of clients that are slow to send or to read, so that no thread waits for one."""

import contextlib
import select
import socket
from typing import Any

import h11

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = 128 * 1024  # bytes; more than gunicorn takes, which is the one to refuse them
CHUNK = 64 * 1024  # bytes to read at once
UNSENT = 2 * 1024 * 1024  # bytes of an answer that may wait for its reader while the thread goes on
STALL = 15.0  # seconds that a thread waits for a reader who is behind by more than that


class Arrival:
    """A request on its way in: the bytes, and whether they are all there."""

    def __init__(self, longest_body: int) -> None:
        self.data = bytearray()
        self.whole = False  # a thread can read all of it without waiting
        self.ready = False  # or at least so much that it is refused
        self._longest = longest_body
        self._body = 0
        self._told = False
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD)

    def add(self, data: bytes) -> bytes:
        """Take what has come. Returns what the client waits for before it sends the rest."""
        self.data += data
        if self.ready:
            return b""
        try:
            self._parser.receive_data(data)
            self._look()
        except (h11.RemoteProtocolError, ValueError):  # a length of 5,000 digits is no number for Python
            self.ready = True  # gunicorn says what is wrong with it
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
            else:  # its end, or a protocol that the client would go on with
                self.whole = self.ready = True
            if self.ready:
                return


class ClientSocket:
    """A client's socket, whose `sendall` keeps what the client does not take yet and comes back at once.

    The thread that answers is the only one who uses it meanwhile; after it the server's loop goes on with `flush`. The
    socket itself never blocks: a thread that wants to read waits here, for STALL at most.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._patience: float | None = None
        self.unsent = bytearray()
        self.is_read = False  # nothing that still comes is of interest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def setblocking(self, flag: bool) -> None:
        self._patience = None if flag else 0.0

    def settimeout(self, seconds: float | None) -> None:
        self._patience = seconds

    def gettimeout(self) -> float | None:
        return self._patience

    def recv(self, size: int) -> bytes:
        """Raises TimeoutError where nothing comes: a whole request is in memory already."""
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
        """Raises TimeoutError where the client is far behind and takes nothing."""
        self.unsent += data
        self.flush()
        while len(self.unsent) > UNSENT:
            if not self._becomes(select.POLLOUT, STALL):
                raise TimeoutError("the client does not read its answer")
            self.flush()

    def flush(self) -> None:
        """Send what the client takes now. Raises OSError where it is gone."""
        while self.unsent:
            try:
                sent = self._socket.send(self.unsent[:CHUNK])
            except BlockingIOError:
                return
            del self.unsent[:sent]

    def read(self) -> bytes | None:
        """What has come, empty where the client is gone; None where nothing has."""
        try:
            return self._socket.recv(CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def hang_up(self) -> None:
        """Say that no more follows. To be read on for a moment: closed with unread data, the answer's end is lost."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _becomes(self, event: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, event)
        return bool(poll.poll(seconds * 1000))
