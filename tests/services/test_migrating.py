"""The original system's client against the whole service."""

import subprocess
import sys
from typing import Any

import pytest

from agentsite.accounts import create_key
from tests.support.processes import ROOT, Workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def run(url: str, key: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "examples/client_of_the_documented_system.py", url, key]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_original_systems_client_runs_with_a_key(live_server: Any, workers: Workers, service: Any) -> None:
    workers.start()
    done = run(live_server.url, create_key(service, "original client"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Booked Ritz for 2 nights" in done.stdout
    shown = [line for line in done.stdout.splitlines() if not line[0].isdigit()]
    assert shown[2:] == ["['trip']", "['t1:completed']", "trip", "True"]


def test_without_a_key_it_learns_that_it_needs_one(live_server: Any) -> None:
    done = run(live_server.url, "none")
    assert done.returncode != 0
    assert "401 POST /agent/write/longterm" in done.stdout
