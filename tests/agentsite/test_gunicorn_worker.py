"""Refusals of the web server itself, by a real gunicorn: JSON, like all others."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest

from agentsite.accounts import create_key
from devserver.preflight import free_port
from tests.support import raw


@pytest.fixture(scope="module")
def gunicorn() -> Iterator[int]:
    """Its port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "agentsite.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "2"]
    command += [
        "--worker-class",
        "agentsite.server.gunicorn_worker.Worker",
        "--no-control-socket",
        "--log-level",
        "critical",
    ]
    with subprocess.Popen(command, env=os.environ | {"DJANGO_SETTINGS_MODULE": "agentsite.settings"}) as server:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port
        server.terminate()


def say(port: int, text: bytes) -> HTTPResponse:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as conn:
        conn.sendall(text)
        answer = HTTPResponse(conn)
        answer.begin()
        answer.body = answer.read()  # type: ignore[attr-defined]
        return answer


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"<script> / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: rot13\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    ],
)
def test_what_is_no_http_is_refused_as_json(gunicorn: int, request_text: bytes, status: int) -> None:
    answer: Any = say(gunicorn, request_text)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json")
    assert set(json.loads(answer.body)) == {"detail", "code"}
    assert b"<" not in answer.body


def chunked(key: str, body: bytes) -> raw.Answer:
    headers = {"HTTP_AUTHORIZATION": f"Bearer {key}", "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    terminated: Any = {"wsgi.input_terminated": True}  # gunicorn says so: reading ends where the last chunk does
    return raw.call("POST", "/agent/invoke", body=body, **headers, **terminated)


@pytest.mark.django_db
def test_a_body_in_chunks_is_read(service: Any) -> None:
    answer = chunked(create_key(service, "test"), b'{"user_id": "ann", "query": "multiply 6 by 7"}')
    assert (answer.status, answer.json()["user_id"]) == (202, "ann")


@pytest.mark.django_db
def test_a_body_in_chunks_has_its_limit_too(service: Any) -> None:
    answer = chunked(create_key(service, "test"), b'{"query": "' + b"x" * 1024 * 1024 + b'"}')
    assert (answer.status, answer.json()["code"]) == (413, "too_large")
