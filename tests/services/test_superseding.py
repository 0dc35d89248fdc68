"""A newer task takes the place of one whose worker is busy with it, or was killed in it."""

from typing import Any

import pytest

from agents.models import Task, ToolCall
from agents.runtime.history import effects
from tests.support.helpers import again, answer_of
from tests.support.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SLOW = 'multiply 6 by 7 then call wait with {"seconds": 60}'
STOP = "stop that, multiply 2 by 3"


def inside_its_call(task: Task) -> None:
    until(lambda: ToolCall.objects.filter(task=task, tool="wait", status="started").exists())


def said(api: Any, task: Task) -> list[Any]:
    messages = api.get("/agent/session/ann/s1").json()["messages"]
    return [one["content"] for one in messages if one["task_id"] == task.task_id and one["type"] != "ai"]


@pytest.mark.parametrize("killed", [False, True])
def test_what_it_finished_stays_and_the_newcomer_does_not_wait_for_it(
    invoke: Any, api: Any, workers: Any, killed: bool
) -> None:
    worker = workers.start(WORKER_CONCURRENCY="2")
    older = invoke(SLOW)
    inside_its_call(older)
    if killed:
        worker.kill()
    newer = invoke(STOP, multitask_strategy="interrupt")
    if killed:
        workers.start()
    until(lambda: again(newer).status == "completed", seconds=40)
    assert "6" in answer_of(newer)
    assert again(older).status == "cancelled"
    question, product, waiting, end = said(api, older)
    assert (question, product, waiting) == (SLOW, "42", effects.UNKNOWN)
    assert effects.STANDS in end


def test_a_worker_keeps_it_also_where_the_newcomer_never_runs(invoke: Any, api: Any, workers: Any) -> None:
    worker = workers.start()
    older = invoke(SLOW)
    inside_its_call(older)
    worker.kill()
    newer = invoke(STOP, multitask_strategy="interrupt")
    api.post("/agent/cancel", {"user_id": "ann", "session_id": "s1", "task_id": newer.task_id})
    workers.start(CHECKPOINT_RETENTION_DAYS="0")
    until(lambda: not Task.objects.filter(pk=older.pk, has_thread=True).exists())
    assert said(api, older)[:2] == [SLOW, "42"]
