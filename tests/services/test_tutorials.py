"""The tutorials, done as they say: their files are written, the service started, their lines pasted."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.test_readme import Service
from tests.support.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
STEP = re.compile(r"<!-- (file|start|restart|decide|run)(?:: (.*?))? -->\n(?:```\w+\n(.*?)```)?", re.DOTALL)
KEY = 'KEY=$(python3 -c \'import json; print(json.load(open("var/first-run.json"))["service_key"])\')'
DECIDE = """
from django.contrib.auth.models import User
from reviews.decisions.services import Choice, decide
from reviews.models import Review
decide(Review.objects.get(status="pending").pk, User.objects.get(username="admin"), Choice("{kind}"))
"""


@dataclass
class Reader:
    """Somebody who does what a tutorial says, in a folder of their own."""

    folder: Path
    env: dict[str, str]
    service: Service | None = None

    def start(self, more: str = "") -> None:
        self.stop()
        self.env |= dict(pair.split("=", 1) for pair in more.split())
        self.service = Service(self.folder, PYTHONPATH=f"{self.folder}:{ROOT}", **self.env)

    def stop(self) -> None:
        if self.service is not None:
            self.service.stop()

    def decide(self, kind: str) -> None:
        """Decide the one open review as admin; the pages have tests of their own."""
        more = {"DEBUG": "true", "AGENTSITE_DATA": str(self.folder / "var"), "PYTHONPATH": f"{self.folder}:{ROOT}"}
        command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", DECIDE.format(kind=kind)]
        env = {**os.environ, **more, **self.env}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def paste(self, command: str) -> str:
        if self.service is None:
            self.start()
        assert self.service is not None
        command = f"{KEY}\n{command}".replace("127.0.0.1:8000", f"127.0.0.1:{self.service.port}")
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, text=True, timeout=60)
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path, empty_database: dict[str, str]) -> Iterator[Reader]:
    made = Reader(tmp_path, dict(empty_database))
    yield made
    made.stop()


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_each_command_is_tried(page: Path) -> None:
    blocks = re.findall(r"^(.*)\n```(?:bash|console|python)$", page.read_text(), re.MULTILINE)
    assert blocks
    assert [line for line in blocks if not line.startswith("<!-- ")] == []


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[] if page.stem == "first-review" else pytest.mark.long)
        for page in TUTORIALS
    ],
)
def test_it_works_as_it_says(page: Path, reader: Reader) -> None:
    steps = STEP.findall(page.read_text())
    assert sum(kind == "run" for kind, _, _ in steps) >= 4
    for kind, what, text in steps:
        match kind:
            case "file":
                (reader.folder / what).write_text(text)
            case "start" | "restart":
                reader.start(what)
            case "decide":
                reader.decide(what)
            case "run" if what == "setup":
                assert text.strip() == KEY
            case "run":
                answer = reader.paste(text)
                shown = json.dumps(json.loads(answer), ensure_ascii=False)
                assert what.strip("{}") in shown.replace("\\n", "\n") or what in answer, (text, answer)
