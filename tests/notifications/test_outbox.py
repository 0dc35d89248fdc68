"""An event and its deliveries are one: neither is without the other, and the event comes first."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from agents import services as agents
from agents.maintenance import cleanup, sweeper
from agents.models import Interrupt, Task
from notifications import delivery, delivery_threads, outbox
from notifications.models import Delivery, Endpoint, Subscription
from reviews.decisions.services import Choice, decide, expire
from tests.support.concurrency import in_threads
from tests.support.receiver import Receiver, events, make_due, subscribed

pytestmark = pytest.mark.django_db(transaction=True)

NEAR = "review.nearly_expired"


def expires_in(**left: Any) -> None:
    """Of all reviews, which were asked a week ago."""
    now = timezone.now()
    Interrupt.objects.update(created_at=now - timedelta(days=7), expires_at=now + timedelta(**left))


# With the event


def test_a_decision_that_is_rolled_back_leaves_no_delivery(
    endpoint: Endpoint, ask: Any, reviewer: User, nudged: Any
) -> None:
    review = ask()
    nudged.clear()
    with transaction.atomic():
        decide(review.pk, reviewer, Choice("accept"))
        assert events() == ["review.new", "review.decided"]
        transaction.set_rollback(True)
    assert events() == ["review.new"]
    assert nudged == []


def test_a_worker_is_woken_up_when_it_has_committed(endpoint: Endpoint, ask: Any, reviewer: User, nudged: Any) -> None:
    review = ask()
    nudged.clear()
    with transaction.atomic():
        decide(review.pk, reviewer, Choice("accept"))
        assert nudged == []
    assert nudged == ["agentsite.notices.jobs.deliver"]


def test_where_nobody_listens_nothing_is_written(ask: Any, reviewer: User, nudged: Any) -> None:
    decide(ask().pk, reviewer, Choice("accept"))
    assert (events(), nudged) == ([], [])


@pytest.mark.parametrize("error", [RuntimeError, DatabaseError])
def test_a_notice_that_fails_does_not_fail_the_decision(
    endpoint: Endpoint, ask: Any, reviewer: User, monkeypatch: Any, caplog: Any, error: Any
) -> None:
    def fails(*args: Any, **more: Any) -> None:
        raise error("broken")

    review = ask()
    monkeypatch.setattr(outbox, "_body", fails)
    assert decide(review.pk, reviewer, Choice("accept")).status == "approved"
    assert "nobody will be told" in caplog.text


def test_nor_does_one_that_the_database_refuses(endpoint: Endpoint, ask: Any, reviewer: User, monkeypatch: Any) -> None:
    def refused(*args: Any, **more: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM there_is_no_such_table")

    review = ask()
    monkeypatch.setattr(outbox, "_body", refused)
    decide(review.pk, reviewer, Choice("accept"))
    assert Interrupt.objects.get(pk=review.pk).status == "approved"
    assert Task.objects.get().status == "pending"


def test_an_endpoint_that_is_deleted_meanwhile_does_not_fail_the_event(
    endpoint: Endpoint, ask: Any, reviewer: User
) -> None:
    review = ask()
    Delivery.objects.all().delete()
    with transaction.atomic():
        decide(review.pk, reviewer, Choice("accept"))
        Endpoint.objects.filter(pk=endpoint.pk)._raw_delete("default")  # as somebody else, who saw no delivery
    delivery.deliver_due()
    assert Delivery.objects.get().status == "dropped"


def test_each_is_told_once(endpoint: Endpoint, rita: User, ask: Any) -> None:
    review = Interrupt.objects.select_related("task__session").get(pk=ask().pk)
    for _ in range(2):
        outbox.announce(outbox.Event.REVIEW_NEW, review, outbox.Listening())
    assert events() == ["review.new"] * 2


def test_a_question_that_is_asked_again_unchanged_is_no_new_review(
    endpoint: Endpoint, ask: Any, work: Any, published: Any
) -> None:
    task = ask("book the Ritz for 2 nights").task
    Task.objects.filter(pk=task.pk).update(status="pending")
    published.append(task.pk)
    work()
    assert events() == ["review.new"]


def test_an_expired_review_is_told_as_expired(endpoint: Endpoint, ask: Any) -> None:
    ask()
    expires_in(seconds=-1)
    expire()
    assert events() == ["review.new", "review.expired"]


# Nearly expired


def test_a_review_is_nearly_expired_once(endpoint: Endpoint, ask: Any) -> None:
    ask()
    expires_in(minutes=50)
    assert [outbox.near_expiry(), outbox.near_expiry()] == [1, 0]
    Endpoint.objects.create(name="later", url=endpoint.url)
    assert outbox.near_expiry() == 0
    assert events().count(NEAR) == 1


@pytest.mark.parametrize("left", [{"minutes": 70}, {"seconds": -1}])
def test_one_with_time_left_or_none_is_not(endpoint: Endpoint, ask: Any, left: Any) -> None:
    ask()
    expires_in(**left)
    assert outbox.near_expiry() == 0


@pytest.mark.parametrize(("left", "told"), [(16, 0), (14, 1)])
def test_of_a_short_one_the_last_quarter_counts(endpoint: Endpoint, ask: Any, left: int, told: int) -> None:
    ask()
    now = timezone.now()
    times = {"created_at": now - timedelta(minutes=60 - left), "expires_at": now + timedelta(minutes=left)}
    Interrupt.objects.update(**times)
    assert outbox.near_expiry() == told


def test_a_decided_one_is_not(endpoint: Endpoint, ask: Any, reviewer: User) -> None:
    decide(ask().pk, reviewer, Choice("accept"))
    expires_in(minutes=5)
    assert outbox.near_expiry() == 0


def test_the_sweeper_sees_to_it_and_to_what_is_due(endpoint: Endpoint, ask: Any, monkeypatch: Any) -> None:
    woken: list[bool] = []
    monkeypatch.setattr(delivery_threads._couriers, "wake", lambda: woken.append(True))
    ask()
    expires_in(minutes=5)
    done = sweeper.sweep()
    assert (done["near_expiry"], done["deliver_notices"], woken) == (1, 2, [True])


# Delivered at least once, by one at a time


def test_two_workers_at_once_deliver_once(endpoint: Endpoint, receiver: Receiver) -> None:
    for _ in range(5):
        outbox.send_test(endpoint)
    in_threads(4, lambda number: delivery.deliver_due())
    ids = [got.headers["webhook-id"] for got in receiver.got]
    assert len(ids) == len(set(ids)) == 5


def test_what_a_dead_worker_had_claimed_is_delivered_when_its_lease_is_over(
    endpoint: Endpoint, receiver: Receiver
) -> None:
    made = outbox.send_test(endpoint)
    assert delivery.claim(made.pk) is not None
    delivery.deliver_due()
    assert receiver.got == []
    make_due()
    delivery.deliver_due()
    assert len(receiver.got) == 1


def test_who_comes_after_the_end_of_his_lease_records_nothing(endpoint: Endpoint, receiver: Receiver) -> None:
    made = outbox.send_test(endpoint)
    late = delivery.claim(made.pk)
    make_due()
    newer = delivery.claim(made.pk)
    assert late is not None
    assert newer is not None
    receiver.answers = [(500, {})]
    delivery.carry_out(late)
    assert Delivery.objects.get().last_code is None
    delivery.carry_out(newer)
    assert (Delivery.objects.get().status, Delivery.objects.get().last_code) == ("sent", 204)


def test_after_a_failure_the_rest_of_the_endpoint_waits_and_others_do_not(
    endpoint: Endpoint, receiver: Receiver
) -> None:
    other = Endpoint.objects.create(name="other", url=receiver.url + "/other")
    for one in (endpoint, endpoint, endpoint, other):
        outbox.send_test(one)
    receiver.answers = [(500, {})]
    delivery.serve(endpoint.pk, lambda: False)
    delivery.serve(other.pk, lambda: False)
    assert [got.path for got in receiver.got] == ["/hook", "/hook/other"]


# What is kept


def test_old_deliveries_go(endpoint: Endpoint, settings: Any, event: Any) -> None:
    old, new = outbox.send_test(endpoint), outbox.send_test(endpoint)
    Delivery.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=31))
    settings.NOTICE_RETENTION_DAYS = 0
    assert not cleanup.keep_house(event)["old_deliveries"]
    settings.NOTICE_RETENTION_DAYS = 30
    assert cleanup.keep_house(event)["old_deliveries"] == 1
    assert Delivery.objects.get() == new


def test_a_deleted_session_takes_its_deliveries_along(endpoint: Endpoint, ask: Any) -> None:
    ask()
    agents.delete_session("ann", "asked0")
    assert events() == []


def test_a_deleted_user_is_told_nothing_any_more(ask: Any, bob: User, reviewer: User) -> None:
    subscribed(reviewer)
    ask()
    User.objects.filter(pk=reviewer.pk).delete()
    assert (events(), Subscription.objects.count()) == ([], 0)
