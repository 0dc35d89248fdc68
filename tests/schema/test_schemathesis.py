"""Schemathesis against the served schema: every operation, with all of its checks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Interrupt
from agentsite.accounts import create_key
from memory import services as memories
from memory.models import Memory
from tests.schema import server
from tests.support.accounts import grant
from tests.support.helpers import open_review

pytestmark = [pytest.mark.long("postgresql"), pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "5")  # of each operation; 200 take some minutes


@pytest.fixture
def known(invoke: Any, work: Any) -> dict[str, list[str]]:
    """Parameters that name things that are there: a finished task, one that waits for a review, and a memory."""
    done = invoke("multiply 6 by 7", session="done")
    asked = invoke("book the Ritz for 2 nights", session="asked")
    work()
    # A tool that takes whatever an edit gives it: what the arguments of others may be is not in the API's schema.
    Interrupt.objects.update(args_schema={"type": "object"})
    memory = memories.add("ann", "likes tea", source=Memory.Source.API, trusted=True)
    return {
        "user_id": ["ann"],
        "session_id": ["done", "asked"],
        "task_id": [done.task_id, asked.task_id],
        "id": [str(open_review(asked).pk)],
        "memory_id": [str(memory.pk)],
    }


def config(folder: Path, known: dict[str, list[str]]) -> Path:
    """The file that tells Schemathesis of our hooks, and to use a known thing in every second request."""
    lines = ['hooks = "tests.schema.hooks"']
    for name, values in known.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
    for name in known:
        lines += [f'[parameters."path.{name}"]', f'dictionary = "{name}"', "probability = 0.5"]
    file = folder / "schemathesis.toml"
    file.write_text("\n".join(lines))
    return file


def schemathesis(url: str, key: str, config: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(config), "run", f"{url}/schema"]
    command += ["--checks", "all", "--max-examples", EXAMPLES, "--generation-deterministic", "--continue-on-failure"]
    # A NUL in any text of the body, at any depth, is a 400. No schema can say that of values of any kind.
    command += ["--generation-allow-x00", "false"]
    command += ["--header", f"Authorization: Bearer {key}", "--no-color"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=config.parent, env=env, capture_output=True, text=True, timeout=3600)


def test_no_generated_request_tells_schema_and_service_apart(
    service: User, known: Any, tmp_path: Path, settings: Any
) -> None:
    settings.MAX_STREAMS = 0  # Schemathesis reads no stream, and waits 10 s for an answer
    everywhere = grant(service, "agents.pause_work")
    with server.running() as url:
        done = schemathesis(url, create_key(everywhere, "schemathesis"), config(tmp_path, known))
    print(done.stdout[-700:])
    assert done.returncode == 0, done.stdout + done.stderr
