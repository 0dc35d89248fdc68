"""Clients that are slow, a few at once, on a real gunicorn without a proxy: everybody else is served meanwhile."""

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from agentsite.server import slow_clients
from agentsite.server.slow_clients import Arrival, ClientSocket
from devserver.preflight import free_port
from tests.agentsite.test_gunicorn_worker import say

THREADS = 2
SLOW = 20  # clients; ten for each thread
BODY = b'{"user_id": "ann", "query": "hello"}'
POST = b"POST /agent/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LARGE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


@contextmanager
def server(worker_class: str, **more: str) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "agentsite.wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", worker_class, "--threads", str(THREADS), "--no-control-socket"]
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "agentsite.settings", "ALLOWED_HOSTS": "*"} | more
    with subprocess.Popen([*command, "--log-level", "critical"], env=env) as process:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        say(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        yield port
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def gunicorn() -> Iterator[int]:
    with server("agentsite.server.gunicorn_worker.Worker") as port:
        yield port


def slow(stack: ExitStack, port: int, text: bytes) -> list[socket.socket]:
    """Clients that have said so much and say no more."""
    made = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(SLOW)]
    for one in made:
        one.sendall(text)
    time.sleep(0.5)
    return made


def health(port: int) -> float:
    """After how many seconds it answers."""
    started = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=4)
    connection.request("GET", "/health", headers={"Host": "localhost"})
    assert connection.getresponse().status == 200
    return time.monotonic() - started


HALVES = {
    "nothing": b"",
    "half a line": b"GET /hea",
    "half a head": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-",
    "a body that does not come": POST + b"Content-Length: 36\r\n\r\n",
    "half a body": POST + b"Content-Length: 36\r\n\r\n" + BODY[:10],
    "half a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n24\r\n" + BODY[:10],
    "no last chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n24\r\n" + BODY + b"\r\n",
    "a large body": POST + b"Content-Length: 1000000\r\n\r\n" + b" " * 500_000,
    "one that is too large": POST + b"Content-Length: 100000000\r\n\r\n" + BODY,
    "an expectation": POST + b"Expect: 100-continue\r\nContent-Length: 36\r\n\r\n",
    "garbage": b"\x16\x03\x01" + bytes(200),
    "one request and the half of a second": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea",
    "a length that is no number": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "an answer that is not read": b"GET " + LARGE.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a good bye that is not returned": b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("half", HALVES)
def test_slow_clients_hold_up_nobody(half: str, gunicorn: int) -> None:
    with ExitStack() as stack:
        slow(stack, gunicorn, HALVES[half])
        assert max(health(gunicorn) for _ in range(3)) < 2


def test_control_gunicorns_own_worker_is_blocked_by_them() -> None:
    with ExitStack() as stack:
        port = stack.enter_context(server("gthread"))
        slow(stack, port, HALVES["half a head"])
        with pytest.raises(TimeoutError):
            health(port)


def test_a_request_in_pieces_is_answered(gunicorn: int) -> None:
    text = POST + b"Content-Length: 36\r\nConnection: close\r\n\r\n" + BODY
    with socket.create_connection(("127.0.0.1", gunicorn), timeout=20) as client:
        for start in range(0, len(text), 20):
            client.sendall(text[start : start + 20])
            time.sleep(0.01)
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 4")  # 401: without a credential


def test_who_expects_it_is_told_to_go_on(gunicorn: int) -> None:
    with socket.create_connection(("127.0.0.1", gunicorn), timeout=20) as client:
        client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 36\r\nConnection: close\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.sendall(BODY)
        assert b"HTTP/1.1 401" in client.makefile("rb").read()


def test_requests_one_after_the_other_and_in_one_piece_are_answered(gunicorn: int) -> None:
    get = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gunicorn), timeout=20) as client:
        client.sendall(get * 3 + get[:-4] + b"\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").read().count(b"HTTP/1.1 200") == 4


def test_a_large_answer_comes_whole_to_who_reads_slowly(gunicorn: int) -> None:
    connection = HTTPConnection("127.0.0.1", gunicorn, timeout=20)
    connection.request("GET", LARGE, headers={"Host": "localhost"})
    answer = connection.getresponse()
    time.sleep(1)
    assert len(answer.read()) == int(answer.headers["Content-Length"]) > 1_000_000
    connection.request("GET", "/health", headers={"Host": "localhost"})  # on the same connection
    assert connection.getresponse().status == 200


def test_what_does_not_come_whole_in_time_is_a_408(tmp_path: Path) -> None:
    text = "from agentsite.server import gunicorn_worker as ours\nours.ARRIVING = 1.0\nWorker = ours.Worker\n"
    (tmp_path / "impatient.py").write_text(text)
    with server("impatient.Worker", PYTHONPATH=str(tmp_path)) as port:
        answer: Any = say(port, HALVES["half a body"])
    assert (answer.status, set(json.loads(answer.body))) == (408, {"detail", "code"})


@pytest.mark.parametrize("half", ["an expectation", "half a body", "an answer that is not read", "garbage"])
def test_who_breaks_off_harms_nobody(half: str, gunicorn: int) -> None:
    for _ in range(SLOW):
        with socket.create_connection(("127.0.0.1", gunicorn), timeout=20) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
            client.sendall(HALVES[half])
    assert health(gunicorn) < 2


def test_a_stop_does_not_wait_for_them() -> None:
    with ExitStack() as stack:
        with server("agentsite.server.gunicorn_worker.Worker") as port:
            slow(stack, port, HALVES["half a body"])
            started = time.monotonic()
        assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("half", "is_refused"), [("half a body", False), ("one that is too large", True), ("garbage", True)]
)
def test_what_is_refused_anyway_need_not_come_whole(half: str, is_refused: bool) -> None:
    arrival = Arrival(1_000_000)
    arrival.add(HALVES[half])
    assert (arrival.ready, arrival.whole) == (is_refused, False)


def test_a_body_in_chunks_is_too_large_when_it_is() -> None:
    arrival = Arrival(1000)
    arrival.add(POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    assert not arrival.ready
    arrival.add(b"1\r\nx\r\n")
    assert (arrival.ready, arrival.whole) == (True, False)


def test_a_thread_waits_for_a_reader_only_who_is_far_behind(monkeypatch: Any) -> None:
    monkeypatch.setattr(slow_clients, "STALL", 0.1)
    ours, theirs = socket.socketpair()
    client = ClientSocket(ours)
    client.sendall(b"x" * slow_clients.UNSENT)
    assert client.unsent
    with pytest.raises(TimeoutError):
        client.sendall(b"x" * slow_clients.UNSENT)
    theirs.close()
    ours.close()
