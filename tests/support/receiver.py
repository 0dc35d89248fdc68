"""A receiver of webhooks on loopback, and what there is to be delivered."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.contrib.auth.models import User
from typing_extensions import override

from notifications.models import Delivery, Subscription


@dataclass
class Got:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Receiver:
    """Keeps what it gets, and answers as it is told to: the next of `answers`, else 204."""

    server: Any = None
    got: list[Got] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    seconds: float = 0.0  # that it takes to answer
    drips: bytes = b""  # how an answer begins that then goes on for seconds, byte by byte

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"


class Handler(BaseHTTPRequestHandler):
    """The server's side of it."""

    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        receiver.got.append(Got(self.path, {name.lower(): text for name, text in self.headers.items()}, body))
        time.sleep(receiver.seconds)
        if receiver.drips:
            self.drip(receiver.drips)
            return
        status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()

    def drip(self, beginning: bytes) -> None:
        self.wfile.write(beginning)
        for _ in range(100):
            time.sleep(0.05)
            try:
                self.wfile.write(b"x")
            except OSError:
                return

    @override
    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a port of its own."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.receiver = made = Receiver(server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def subscribed(user: User, *events: str, **more: Any) -> User:
    """The user with an address and a subscription to these events, or to all."""
    User.objects.filter(pk=user.pk).update(email=f"{user.username}@example.com")
    Subscription.objects.create(
        user=user, events=list(events) or EVERYTHING, **{"high_risk_only": False, "language": "en", **more}
    )
    return User.objects.get(pk=user.pk)


EVERYTHING = [
    *("review.new", "review.nearly_expired", "review.expired", "review.decided"),
    *("task.completed", "task.error", "task.cancelled"),
]


def make_due() -> None:
    """Time passes."""
    Delivery.objects.update(due_at="2020-01-01T00:00:00Z")


def events() -> list[str]:
    return list(Delivery.objects.order_by("created_at", "event").values_list("event", flat=True))
