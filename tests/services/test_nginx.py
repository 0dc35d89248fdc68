"""Streams through the nginx that deploy/nginx/agentsite.conf sets up."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devserver.preflight import free_port
from tests.support.processes import ROOT, Workers, until
from tests.support.sites import Site, answers, read

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nginx]

SHIPPED = (ROOT / "deploy" / "nginx" / "agentsite.conf").read_text()


@pytest.fixture
def proxied(site: Site, tmp_path: Path) -> Iterator[Site]:
    """The site behind nginx, without TLS: all else is as shipped."""
    port = free_port()
    behind = site.url.removeprefix("http://")
    text = SHIPPED.replace("server 127.0.0.1:8000;", f"server {behind};")
    text = re.sub(r"\nserver \{\n    listen 80;.*?\n\}\n", "\n", text, flags=re.DOTALL)
    text = re.sub(
        r"    listen 443 ssl http2;\n    listen \[::\]:443 ssl http2;\n", f"    listen 127.0.0.1:{port};\n", text
    )
    text = re.sub(r"    ssl_.*;\n", "", text)
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; user root;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{folders}{text}\n}}\n"
    )
    with subprocess.Popen(["/usr/sbin/nginx", "-p", str(tmp_path), "-c", str(config)]) as server:
        found = Site(port, "")
        found.headers = {**site.headers, "Host": "127.0.0.1"}
        until(lambda: answers(f"{found.url}/health") or server.poll())
        assert server.poll() is None, (tmp_path / "error.log").read_text()
        yield found
        server.terminate()


def test_each_event_comes_at_once(proxied: Site, workers: Workers, invoke: Any) -> None:
    task = invoke("multiply 6 by 7")
    with proxied.open(f"/agent/stream/ann/s1/{task.task_id}") as response:
        began, lines = time.monotonic(), read(response.iter_lines())
        assert next(lines)[2]["data"] == {"status": "pending"}
        assert time.monotonic() - began < 5  # and not when a buffer is full, or the task has ended
        workers.start()
        assert [name for name, _, _ in lines][-1] == "end"


def test_a_request_may_wait_as_long_as_the_service_allows(proxied: Site, invoke: Any) -> None:
    task = invoke("multiply 6 by 7")
    answer = proxied.get(f"/agent/status/ann/s1/{task.task_id}?wait=2")
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    (seconds,) = re.findall(r"proxy_read_timeout (\d+)s;", SHIPPED)
    assert int(seconds) > 60


def test_a_client_that_leaves_is_noticed_through_it(proxied: Site, invoke: Any, tmp_path: Path) -> None:
    task = invoke("multiply 6 by 7")
    for _ in range(3):
        with proxied.open(f"/agent/stream/ann/s1/{task.task_id}") as response:
            assert next(response.iter_lines()) == "retry: 1000"
    log = (tmp_path / "web.log").read_text()
    assert "Traceback" not in log
