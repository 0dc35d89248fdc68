"""The READMEs and the how-to of the clients: their blocks run as one program and print what stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agents.models import Task
from tests.support import node
from tests.support.processes import ROOT, Workers
from tests.support.sites import WebServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CLIENT = ROOT / "client"


def blocks(page: Path, language: str) -> str:
    """The blocks of a language, one after the other."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL))


def printed(command: list[str], site: WebServer, folder: Path) -> str:
    env = {"PATH": os.environ["PATH"], "AGENTSITE_URL": site.url, "AGENTSITE_KEY": site.key}
    env["PYTHONPATH"] = str(CLIENT / "python")
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_that_of_the_python_client_works_as_it_says(site: WebServer, workers: Workers, tmp_path: Path) -> None:
    workers.start(AGENT_TOOLS="")
    page, script = CLIENT / "python" / "README.md", tmp_path / "readme.py"
    script.write_text(blocks(page, "python"))
    assert printed([sys.executable, str(script)], site, tmp_path) == blocks(page, "text").replace("\n\n", "\n")


@pytest.mark.node
def test_that_of_the_typescript_client_works_as_it_says(site: WebServer, workers: Workers, tmp_path: Path) -> None:
    workers.start(AGENT_TOOLS="")
    page, script = CLIENT / "typescript" / "README.md", tmp_path / "readme.mjs"
    script.write_text(blocks(page, "js"))
    node.package(tmp_path, CLIENT / "typescript" / "src")
    assert printed([str(node.NODE), str(script)], site, tmp_path) == blocks(page, "text").replace("\n\n", "\n")


def test_the_example_of_the_how_to_works(site: WebServer, workers: Workers, tmp_path: Path) -> None:
    workers.start(AGENT_TOOLS="")
    script = tmp_path / "order.py"
    script.write_text(blocks(ROOT / "docs" / "how-to" / "clients.md", "python"))
    for _ in range(2):  # the same order again is the same task
        assert "42" in printed([sys.executable, str(script)], site, tmp_path)
    assert Task.objects.count() == 1
