"""The threads of a worker that deliver, and the job that wakes them up."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from notifications import delivery, delivery_threads, jobs, outbox
from notifications.delivery_threads import Couriers
from notifications.models import Delivery, Endpoint
from tests.support.receiver import Receiver, make_due

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Couriers]:
    """Real ones."""
    made = Couriers()
    monkeypatch.setattr(delivery_threads, "_couriers", made)
    yield made
    made.stop()
    made.wait(10)


def statuses() -> dict[str, int]:
    found = list(Delivery.objects.values_list("status", flat=True))
    return {status: found.count(status) for status in set(found)}


def test_the_job_delivers_what_is_due_and_leaves_no_thread(
    threads: Couriers, endpoint: Endpoint, receiver: Receiver
) -> None:
    for _ in range(3):
        outbox.send_test(endpoint)
    jobs.deliver()
    threads.wait(10)
    assert (statuses(), len(receiver.got)) == ({"sent": 3}, 3)
    assert not [thread for thread in threading.enumerate() if thread.name == "courier"]


def test_where_nothing_is_due_no_thread_is_started(threads: Couriers) -> None:
    jobs.deliver()
    assert threads._threads == set()


def test_a_receiver_that_hangs_holds_up_neither_others_nor_who_wakes_them(
    threads: Couriers, endpoint: Endpoint, receiver: Receiver, settings: Any, ask: Any, rita: Any
) -> None:
    settings.NOTICE_TIMEOUT_SECONDS = 1.5
    receiver.seconds = 3.0
    Endpoint.objects.update(events=["test"])
    outbox.send_test(endpoint)
    ask()
    started = time.monotonic()
    delivery_threads.deliver_notices()
    assert time.monotonic() - started < 0.5
    while "sent" not in statuses() and time.monotonic() - started < 1.4:
        time.sleep(0.02)
    assert statuses() == {"pending": 1, "sent": 1}


def test_a_lane_rests_after_a_failure(threads: Couriers, endpoint: Endpoint, receiver: Receiver) -> None:
    for _ in range(3):
        outbox.send_test(endpoint)
    receiver.answers = [(500, {})] * 3
    for _ in range(2):
        make_due()
        delivery_threads.deliver_notices()
        threads.wait(10)
    assert len(receiver.got) == 1


def test_a_worker_that_stops_begins_nothing_new(threads: Couriers, endpoint: Endpoint, receiver: Receiver) -> None:
    outbox.send_test(endpoint)
    threads.stop()
    delivery_threads.deliver_notices()
    assert (statuses(), receiver.got) == ({"pending": 1}, [])


def test_a_database_that_is_away_ends_the_thread_and_nothing_else(
    threads: Couriers, monkeypatch: Any, caplog: Any
) -> None:
    def away() -> list[int]:
        raise RuntimeError("the database is away")

    monkeypatch.setattr(delivery, "lanes", away)
    threads.wake()
    threads.wait(10)
    assert "the database is away" in caplog.text
    assert threads._threads == set()
