"""The process is killed at each named place of a run or a decision; the story ends the same all the same."""

import signal
from pathlib import Path
from typing import Any

import pytest

from agents.models import Interrupt, Task, ToolCall
from agents.observability import failpoints
from reviews.decisions.services import Choice, decide
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import calls
from tests.support.processes import in_shell, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

WEB = ("before-decision", "after-decision", "before-answer", "after-answer")
DOUBTFUL = {"after-entry": 0, "before-call": 0, "after-call": 1, "before-result": 1}  # how often it has really run
DECIDE = """
from django.contrib.auth.models import User
from reviews.decisions.services import Choice, decide
decide("{review}", User.objects.get(username="rita"), Choice("accept"))
"""


def becomes(task: Task, status: str) -> None:
    until(lambda: again(task).status == status)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "fired"


@pytest.mark.parametrize("name", [name for name in failpoints.NAMES if name not in WEB])
def test_a_worker_killed_there_loses_and_doubles_nothing(
    name: str, marker: Path, invoke: Any, workers: Any, reviewer: Any
) -> None:
    worker = workers.start(AGENTSITE_FAILPOINTS=f"{name}={marker}")
    task = invoke('call charge with {"amount": 3}')
    decided = False
    for _ in range(3):  # it dies before the question, or after it
        until(lambda: worker.poll() is not None or Interrupt.objects.filter(status="pending").exists())
        if worker.poll() is not None:
            break
        decide(open_review(task).pk, reviewer, Choice("accept"))
        decided = True
        assert worker.wait(90) == -signal.SIGKILL
    assert marker.exists()
    workers.start()
    if name in DOUBTFUL:
        doubt = until(lambda: Interrupt.objects.filter(kind="in_doubt", status="pending").first())
        assert len(calls()) == DOUBTFUL[name]
        decide(doubt.pk, reviewer, Choice("response", "I have looked: it is done"))
    elif not decided:
        until(lambda: Interrupt.objects.filter(status="pending").exists())
        decide(open_review(task).pk, reviewer, Choice("accept"))
    becomes(task, "completed")
    answer_of(task)
    assert ToolCall.objects.get().runs == 1
    assert calls() == ["charge 3"] * DOUBTFUL.get(name, 1)


@pytest.mark.parametrize("name", WEB)
def test_a_decision_whose_process_is_killed_there_counts_or_does_not(
    name: str, marker: Path, invoke: Any, workers: Any, reviewer: Any
) -> None:
    task = invoke('call charge with {"amount": 3}')
    workers.start()
    becomes(task, "interrupted")
    review = open_review(task)
    env = {**workers.env, "AGENTSITE_FAILPOINTS": f"{name}={marker}"}
    log = workers.folder / "decide.log"
    assert in_shell(workers.server, DECIDE.format(review=review.pk), env, log).wait(60) == -signal.SIGKILL, (
        log.read_text()
    )
    assert marker.exists()
    review.refresh_from_db()
    assert review.status == ("approved" if name == "after-decision" else "pending")
    decide(review.pk, reviewer, Choice("accept"))  # the reviewer tries again
    becomes(task, "completed")
    assert calls() == ["charge 3"]


def test_without_the_variable_a_failpoint_does_nothing(monkeypatch: Any, tmp_path: Path) -> None:
    for name in failpoints.NAMES:
        failpoints.here(name)


def test_in_production_a_failpoint_does_nothing(monkeypatch: Any, marker: Path, settings: Any) -> None:
    settings.DEBUG = False
    monkeypatch.setattr(failpoints, "_armed", {"before-claim": str(marker)})
    failpoints.here("before-claim")
    assert not marker.exists()
