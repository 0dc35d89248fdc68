"""The housekeeping in a real worker, beside its runs."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.models import Chore, Session
from tests.support.helpers import again, answer_of
from tests.support.processes import Workers, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_a_worker_deletes_what_is_old_and_does_its_tasks(invoke: Any, workers: Workers) -> None:
    long_ago = timezone.now() - timedelta(days=40)
    Session.objects.bulk_create(Session(user_id="ann", session_id=f"old{n}", created_at=long_ago) for n in range(1_200))
    task = invoke("multiply 6 by 7")
    workers.start(SESSION_RETENTION_DAYS="30")
    until(lambda: Session.objects.count() == 1 and again(task).status == "completed")
    assert "42" in answer_of(task)
    tomorrow = Chore.objects.filter(name="housekeeping", due_at__gt=timezone.now() + timedelta(hours=1))
    assert until(tomorrow.exists)
