"""What is kept and what goes just at the limit, for one day, for none and for the most days that a setting takes."""

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_celery_results.models import TaskResult

from agents.checks import MAX_DAYS
from agents.maintenance import cleanup, duties, retention, sweeper
from agents.models import Chore, IdempotencyKey, Session, Task, WorkerProcess
from core.models import ApiKey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_checkpoints")]

MOMENT = timezone.now() - timedelta(days=50)
TICK = timedelta(microseconds=1)


def session(name: str, *statuses: str, at: Any = MOMENT) -> Session:
    row = Session.objects.create(user_id="ann", session_id=name, created_at=at)
    for position, status in enumerate(statuses, 1):
        row.tasks.create(
            task_id=f"t{position}", user_id="ann", position=position, query="x", status=status, updated_at=at
        )
    return row


def names(old: retention.Old) -> set[str]:
    return set(old.sessions().values_list("session_id", flat=True))


# Sessions


@pytest.mark.parametrize(("before", "found"), [(MOMENT - TICK, set()), (MOMENT, set()), (MOMENT + TICK, {"a", "b"})])
def test_a_session_that_changed_at_the_very_limit_stays(before: Any, found: set[str]) -> None:
    session("a"), session("b", "completed")
    assert names(retention.Old(before)) == found


def test_one_task_at_the_limit_keeps_the_whole_session() -> None:
    row = session("a", "completed", "completed", "completed", at=MOMENT - timedelta(days=1))
    row.tasks.filter(position=1).update(updated_at=MOMENT)
    assert names(retention.Old(MOMENT)) == set()
    assert names(retention.Old(MOMENT + TICK)) == {"a"}


@pytest.mark.parametrize(
    ("status", "include", "found"),
    [
        ("", False, {"done", "empty"}),
        ("", True, {"done", "empty", "asking"}),
        ("idle", False, {"done", "empty"}),
        ("idle", True, {"done", "empty"}),
        ("interrupted", False, set()),
        ("interrupted", True, {"asking"}),
        ("error", True, set()),
    ],
)
def test_which_sessions_are_old_by_status(status: str, include: bool, found: set[str]) -> None:
    session("done", "completed"), session("empty"), session("asking", "interrupted")
    session("busy", "running"), session("behind", "completed", "queued")
    assert names(retention.Old(timezone.now(), status=status, include_interrupted=include)) == found


def test_another_users_sessions_are_not_old_for_this_one() -> None:
    session("a")
    assert names(retention.Old(timezone.now(), user_id="bob")) == set()
    assert names(retention.Old(timezone.now(), user_id="Ann")) == set()
    assert names(retention.Old(timezone.now(), user_id="ann")) == {"a"}


def test_deleting_stops_where_the_caller_stops_and_goes_on_later() -> None:
    for number in range(5):
        session(f"s{number}", at=MOMENT + number * TICK)
    first = next(retention.delete_sessions(retention.Old(timezone.now()), 2))
    assert first == 2
    assert set(Session.objects.values_list("session_id", flat=True)) == {"s2", "s3", "s4"}, "the oldest went first"
    assert list(retention.delete_sessions(retention.Old(timezone.now()), 2)) == [2, 1]


def test_where_nothing_is_old_there_is_no_batch() -> None:
    assert list(retention.delete_sessions(retention.Old(timezone.now()))) == []
    assert list(retention.delete_rows(IdempotencyKey.objects.all())) == []


def test_rows_are_deleted_in_batches(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS", 2)
    for number in range(5):
        IdempotencyKey.objects.create(principal=ann, key=str(number))
    assert list(retention.delete_rows(IdempotencyKey.objects.exclude(key="0"))) == [2, 2]
    assert IdempotencyKey.objects.get().key == "0"


# Keys


@pytest.mark.parametrize(("age", "left"), [(timedelta(hours=23, minutes=59), 1), (timedelta(hours=24, minutes=1), 0)])
def test_an_idempotency_key_is_kept_for_a_day(ann: User, age: timedelta, left: int) -> None:
    IdempotencyKey.objects.create(principal=ann, key="k", created_at=timezone.now() - age)
    list(cleanup.used_up_idempotency_keys())
    assert IdempotencyKey.objects.count() == left


@pytest.mark.parametrize("field", ["expiry_date", "revoked_at"])
@pytest.mark.parametrize(("before", "count"), [(MOMENT, 0), (MOMENT + TICK, 1)])
def test_an_api_key_that_ended_at_the_very_limit_stays(ann: User, field: str, before: Any, count: int) -> None:
    key, _ = ApiKey.objects.create_key(name="k", user=ann)
    ApiKey.objects.filter(pk=key.pk).update(**{field: MOMENT, "revoked": field == "revoked_at"})
    assert ApiKey.objects.dead(before).count() == count


def test_revoked_keys_are_dated_once(ann: User) -> None:
    for name in ("a", "b", "c"):
        ApiKey.objects.create_key(name=name, user=ann)
    ApiKey.objects.exclude(name="c").update(revoked=True)
    ApiKey.objects.filter(name="a").update(revoked_at=MOMENT)
    assert ApiKey.objects.note_revoked() == 1
    assert ApiKey.objects.note_revoked() == 0
    assert ApiKey.objects.get(name="a").revoked_at == MOMENT
    assert ApiKey.objects.get(name="c").revoked_at is None


# Days of the settings


def old_session(age: timedelta) -> None:
    session("old", at=timezone.now() - age)


def old_job(age: timedelta) -> None:
    TaskResult.objects.create(task_id="old")
    TaskResult.objects.update(date_done=timezone.now() - age)


def old_key(age: timedelta) -> None:
    owner, _ = User.objects.get_or_create(username="owner")
    ApiKey.objects.create_key(name="old", user=owner, expiry_date=timezone.now() - age)


DUTIES = [
    ("SESSION_RETENTION_DAYS", cleanup.old_sessions, old_session),
    ("JOB_RETENTION_DAYS", cleanup.failed_jobs, old_job),
    ("KEY_RETENTION_DAYS", cleanup.dead_api_keys, old_key),
]


@pytest.mark.parametrize(("name", "duty", "make"), DUTIES)
@pytest.mark.parametrize("days", [1, 30, MAX_DAYS])
def test_a_minute_decides_at_the_end_of_the_days(
    settings: Any, name: str, duty: Callable[[], Any], make: Callable[[timedelta], None], days: int
) -> None:
    setattr(settings, name, days)
    make(timedelta(days=days) - timedelta(minutes=1))
    assert sum(duty()) == 0
    for rows in (Session.objects, TaskResult.objects, ApiKey.objects):
        rows.all().delete()
    make(timedelta(days=days) + timedelta(minutes=1))
    assert sum(duty()) == 1


@pytest.mark.parametrize(("name", "duty", "make"), DUTIES)
def test_no_days_mean_no_limit(
    settings: Any, name: str, duty: Callable[[], Any], make: Callable[[timedelta], None]
) -> None:
    setattr(settings, name, 0)
    make(timedelta(days=MAX_DAYS + 1))
    assert sum(duty()) == 0


# Checkpoints


def ended(status: str, age: timedelta) -> Task:
    row = session(f"{status}{uuid.uuid4().hex}", status, at=timezone.now() - age)
    row.tasks.update(has_thread=True)
    return row.tasks.get()


@pytest.mark.parametrize("days", [1, 7, MAX_DAYS])
def test_checkpoints_are_kept_for_their_days_after_the_end(settings: Any, days: int) -> None:
    settings.CHECKPOINT_RETENTION_DAYS = days
    ended("completed", timedelta(days=days) - timedelta(minutes=1))
    assert sweeper.forget_checkpoints() == 0
    late = ended("completed", timedelta(days=days) + timedelta(minutes=1))
    assert sweeper.forget_checkpoints() == 1
    late.refresh_from_db()
    assert not late.has_thread
    assert sweeper.forget_checkpoints() == 0, "it has been done"


def test_with_no_days_the_checkpoints_of_what_has_ended_go_at_once(settings: Any) -> None:
    settings.CHECKPOINT_RETENTION_DAYS = 0
    for status in ("completed", "error", "cancelled", "interrupted", "running", "queued", "pending"):
        ended(status, timedelta(minutes=1))
    assert sweeper.forget_checkpoints() == 3
    left = set(Task.objects.filter(has_thread=True).values_list("status", flat=True))
    assert left == {"interrupted", "running", "queued", "pending"}


def test_a_sweep_forgets_no_more_than_a_batch(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "BATCH", 2)
    settings.CHECKPOINT_RETENTION_DAYS = 0
    for _ in range(3):
        ended("completed", timedelta(minutes=1))
    assert [sweeper.forget_checkpoints() for _ in range(3)] == [2, 1, 0]


# Workers, and duties of one's own


@pytest.mark.parametrize(("seconds", "left"), [(sweeper.GONE - 60, 1), (sweeper.GONE + 60, 0)])
def test_a_worker_that_is_silent_for_an_hour_is_forgotten(settings: Any, seconds: float, left: int) -> None:
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {}
    WorkerProcess.objects.create(name="w")
    WorkerProcess.objects.update(beat_at=timezone.now() - timedelta(seconds=seconds))
    assert sweeper.clear_broker_folder() == 0
    assert WorkerProcess.objects.count() == left


def test_duties_are_done_in_order_under_the_last_part_of_their_path() -> None:
    found = list(duties.all_of((sweeper.expire_reviews,), ("os.getcwd", "no.such.thing")))
    assert [name for name, _ in found] == ["expire_reviews", "getcwd", "thing"]
    with pytest.raises(ImportError):
        found[2][1]()


def test_a_duty_of_the_settings_that_fails_is_logged_and_the_day_is_done(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.HOUSEKEEPING_DUTIES = ["no.such.thing"]
    settings.SESSION_RETENTION_DAYS = 1
    old_session(timedelta(days=2))
    assert cleanup.claim()
    done = cleanup.keep_house(threading.Event())
    assert done["old_sessions"] == 1
    assert "the housekeeping's duty thing failed" in caplog.text
    assert Chore.objects.get(name=cleanup.CHORE).due_at > timezone.now() + timedelta(hours=23)
