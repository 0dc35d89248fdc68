"""gunicorn's threaded worker, changed so that slow clients do not block threads and its own error responses are JSON.

gunicorn passes a connection to a thread when the first byte arrives. The thread then waits for the rest of the request
and for the client to read the response. Here the worker's event loop collects the request and sends the rest of a
response to a slow client, so that threads only handle complete requests. Timeouts alone are not enough: eight clients
that reconnect after each timeout would occupy eight threads.
"""

import http
import json
import math
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from django.conf import settings
from gunicorn.workers.gthread import TConn, ThreadWorker
from typing_extensions import override

from agentsite.server import handover
from agentsite.server.slow_clients import CHUNK, Arrival, ClientSocket

SERVER_ERROR = 500
ARRIVING = 60.0  # seconds for a whole request to arrive; nginx's own limits are lower
FIRST = 15.0  # seconds for its first byte
LEAVING = 60.0  # seconds for the client to read the rest of a response
LINGER = 2.0  # seconds for the client to close the connection after its last response
HELD = 64 * 1024 * 1024  # bytes of requests and responses held by the loop; above it, large requests are refused


class Worker(ThreadWorker):
    """Worker for `gunicorn --worker-class agentsite.server.gunicorn_worker.Worker`. A proxy must terminate TLS."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cfg.set("sendfile", False)  # it would block until the client reads
        self._waiting: dict[TConn, float] = {}  # connections that the loop handles, with their deadlines
        self._stops_at = math.inf  # when to stop waiting for requests, by the monotonic clock

    @override
    def load_wsgi(self) -> None:
        super().load_wsgi()
        app: handover.App = self.wsgi  # type: ignore[has-type] # gunicorn has no types
        self.wsgi = handover.taking_over(app)

    def enqueue_req(self, conn: TConn) -> None:
        """Start collecting a request. gunicorn calls this for a new connection or the next request on one."""
        if not isinstance(conn.sock, ClientSocket):
            conn.sock = ClientSocket(conn.sock)
        conn.init()
        conn.data_ready = True
        arrival = Arrival(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        self._arrived(conn, arrival, conn.parser.unreader.take_buffered())
        if not arrival.ready:
            self._wait(conn, selectors.EVENT_READ, FIRST, partial(self._read, conn, arrival))
            if conn in self._waiting:
                self._read(conn, arrival, conn.sock)

    def _read(self, conn: TConn, arrival: Arrival, _: Any) -> None:
        data = conn.sock.read()
        if data is None:
            return
        if not data:
            self._drop(conn)
        elif len(arrival.data) > CHUNK and self._held() > HELD:
            self._refuse(conn, http.HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            if not arrival.data:
                self._waiting[conn] = time.monotonic() + ARRIVING
            self._arrived(conn, arrival, data)

    def _arrived(self, conn: TConn, arrival: Arrival, data: bytes) -> None:
        """Add a part of a request. Pass the request to a thread when it is complete or must be refused."""
        if not data:
            return
        conn.arrival = arrival
        if answer := arrival.add(data):
            with suppress(OSError):  # the client is gone; the next read notices it
                conn.sock.sendall(answer)
        if arrival.ready:
            self._forget(conn)
            conn.sock.is_read = not arrival.whole  # an incomplete request is refused, so the rest is not read
            conn.parser.unreader.unread(bytes(arrival.data))
            arrival.data.clear()
            super().enqueue_req(conn)

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Return whether to keep the connection. Unread data is drained only if the request arrived whole."""
        return bool(conn.arrival.whole and super()._keepalive_after(conn, keepalive))

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        """Send the rest of the response, then keep or close the connection.

        gunicorn calls this in its loop when the thread is done.
        """
        try:
            keep = bool(fs.result()) if not fs.cancelled() else False
        except Exception:
            keep = False
        if conn.sock.taken is not None:
            self._hand_over(conn)
        elif conn.sock.unsent:
            self._wait(conn, selectors.EVENT_WRITE, LEAVING, partial(self._send, conn, fs))
        elif keep:
            super().finish_request(conn, fs)
        else:
            self._hang_up(conn)

    def _hand_over(self, conn: TConn) -> None:
        """Give the connection away: streams count neither as connections nor as work when this process stops."""
        self.nr_conns -= 1
        response, chunked = conn.sock.taken
        client = socket.socket(fileno=conn.sock.detach())
        handover.serve(client, bytes(conn.sock.unsent), response, chunked=chunked)

    def _send(self, conn: TConn, fs: "Future[Any]", _: Any) -> None:
        try:
            conn.sock.flush()
        except OSError:
            self._drop(conn)
            return
        if not conn.sock.unsent:
            self._forget(conn)
            self.finish_request(conn, fs)

    def _hang_up(self, conn: TConn) -> None:
        conn.sock.hang_up()
        self._wait(conn, selectors.EVENT_READ, LINGER, partial(self._linger, conn))

    def _linger(self, conn: TConn, _: Any) -> None:
        if conn.sock.read() == b"":
            self._drop(conn)

    def _wait(self, conn: TConn, event: int, seconds: float, call: Callable[[Any], None]) -> None:
        self._waiting[conn] = time.monotonic() + seconds
        try:
            self.poller.register(conn.sock.fileno(), event, call)
        except (OSError, KeyError, ValueError):  # closed by the thread
            self._drop(conn)

    def _forget(self, conn: TConn) -> None:
        if self._waiting.pop(conn, None) is not None:
            with suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.sock.fileno())

    def _drop(self, conn: TConn) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def _refuse(self, conn: TConn, status: int) -> None:
        with suppress(OSError):
            conn.sock.sendall(refusal(status))
        self._forget(conn)
        self._hang_up(conn)

    def _held(self) -> int:
        return sum(len(conn.sock.unsent) + len(conn.arrival.data) for conn in self._waiting if hasattr(conn, "arrival"))

    def murder_pending(self) -> None:
        """Refuse or drop connections whose deadline has passed. gunicorn calls this once a second."""
        super().murder_pending()
        now = time.monotonic()
        self._stops_at = min(self._stops_at, math.inf if self.alive else now + LINGER)
        for conn, until in list(self._waiting.items()):
            arrival = getattr(conn, "arrival", None)
            if now <= (until if conn.sock.unsent else min(until, self._stops_at)):
                continue
            if arrival is not None and arrival.data and not conn.sock.unsent:
                arrival.data.clear()
                self._refuse(conn, http.HTTPStatus.REQUEST_TIMEOUT)
            else:
                self._drop(conn)

    @override
    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Respond with JSON to requests that gunicorn can't parse, because they never reach Django."""
        super().handle_error(req, _JsonRefusal(client), addr, exc)


class _JsonRefusal:
    """Client socket that replaces gunicorn's error page with JSON of the same status."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, page: bytes) -> None:
        self._client.sendall(refusal(int(page.split(b" ", 2)[1])))


def refusal(status: int) -> bytes:
    """Build the whole HTTP response. It does not quote the request, which gunicorn's log has and can be anything."""
    phrase = http.HTTPStatus(status).phrase
    known = status < SERVER_ERROR
    detail = f"The server can't accept this request: {phrase}." if known else "The server can't process this request."
    body = json.dumps({"detail": detail, "code": "invalid" if known else "server_error"}).encode()
    head = f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body
