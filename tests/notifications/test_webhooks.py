"""Webhooks as a receiver sees them, over real HTTP."""

import json
from datetime import timedelta
from typing import Any

import httpcore2
import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from agents import services as agents
from notifications import outbox
from notifications.delivery import deliver_due
from notifications.models import Delivery, Endpoint
from notifications.transports import http_client
from reviews.decisions.services import Choice, decide
from tests.support.receiver import Receiver, events, make_due

pytestmark = pytest.mark.django_db(transaction=True)


def only() -> Delivery:
    return Delivery.objects.get()


def due_in() -> float:
    return (only().due_at - timezone.now()).total_seconds()


@pytest.fixture
def waiting(endpoint: Endpoint) -> Delivery:
    """A test that is to be delivered."""
    return outbox.send_test(endpoint)


# What is sent


def test_the_signature_is_the_one_of_the_standard(waiting: Delivery, endpoint: Endpoint, receiver: Receiver) -> None:
    deliver_due()
    got = receiver.got[0]
    assert Webhook(endpoint.secret).verify(got.body, got.headers)["type"] == "test"
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(got.body + " ", got.headers)


def test_a_new_review_is_told_with_ids_and_a_link(endpoint: Endpoint, receiver: Receiver, ask: Any) -> None:
    review = ask()
    deliver_due()
    told = json.loads(receiver.got[0].body)
    assert told["type"] == "review.new"
    assert told["data"] == {
        **{"review_id": str(review.pk), "kind": "tool_call", "tool": "book_hotel", "risk": "medium"},
        **{"status": "pending", "user_id": "ann", "session_id": "asked0", "task_id": "t0"},
        "expires_at": told["data"]["expires_at"],
        "url": f"https://agents.example.com/admin/reviews/review/{review.pk}/change/",
    }


def test_the_links_are_those_of_the_admin(endpoint: Endpoint, ask: Any) -> None:
    task = ask().task
    agents.cancel(task)
    paths = [one.data["url"].removeprefix("https://agents.example.com") for one in Delivery.objects.order_by("event")]
    review = task.interrupts.get()
    assert paths == [
        reverse("admin:reviews_review_change", args=[review.pk]),
        reverse("admin:agents_task_change", args=[task.pk]),
    ]


def test_no_argument_and_no_text_leaves(
    endpoint: Endpoint, receiver: Receiver, ask: Any, rita: User, work: Any
) -> None:
    review = ask("book the Ritz for 2 nights")
    decide(review.pk, rita, Choice("edit", {"hotel_name": "Savoy", "nights": 2}))
    work()
    decide(ask("email bob@example.com saying hello").pk, rita, Choice("reject", message="too friendly"))
    deliver_due()
    assert len(receiver.got) == 5
    for secret in ("Ritz", "Savoy", "bob@", "hello", "friendly", "nights"):
        assert not [got for got in receiver.got if secret in got.body]


def test_a_decision_and_the_end_of_its_task(endpoint: Endpoint, ask: Any, reviewer: User, work: Any) -> None:
    decide(ask().pk, reviewer, Choice("accept"))
    work()
    assert events() == ["review.new", "review.decided", "task.completed"]
    assert [one.data["status"] for one in Delivery.objects.order_by("created_at")] == [
        *("pending", "approved", "completed")
    ]


def test_a_task_that_fails_and_one_that_is_cancelled(endpoint: Endpoint, invoke: Any, work: Any, settings: Any) -> None:
    agents.cancel(invoke("multiply 6 by 7"))
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "GRAPH": "agents.nothing"}}
    invoke("multiply 6 by 7")
    work()
    assert events() == ["task.cancelled", "task.error"]


def test_an_endpoint_is_told_only_what_it_wants(endpoint: Endpoint, ask: Any) -> None:
    Endpoint.objects.update(events=["review.decided"])
    ask()
    Endpoint.objects.update(events=["review.new"], user="b*")
    ask()
    assert events() == []
    ask(user="bob")
    assert events() == ["review.new"]


def test_one_that_is_switched_off_is_told_nothing(endpoint: Endpoint, ask: Any) -> None:
    Endpoint.objects.update(active=False)
    ask()
    assert events() == []


# What becomes of it


def test_what_has_arrived_is_not_sent_again(waiting: Delivery, receiver: Receiver) -> None:
    deliver_due()
    make_due()
    deliver_due()
    assert len(receiver.got) == 1
    assert (only().status, only().last_code, only().attempts) == ("sent", 204, 1)
    assert only().sent_at is not None


def test_a_receiver_that_is_down_is_tried_again_later_each_time(waiting: Delivery, receiver: Receiver) -> None:
    receiver.answers = [(500, {})] * 3
    pauses = []
    for _ in range(3):
        deliver_due()
        pauses.append(due_in())
        make_due()
    assert [11 < pauses[0] < 19, 44 < pauses[1] < 76, 178 < pauses[2] < 301] == [True] * 3
    deliver_due()
    assert (only().status, only().attempts) == ("sent", 4)


def test_each_try_has_the_same_id_and_body_and_a_signature_of_its_own_time(
    waiting: Delivery, receiver: Receiver, endpoint: Endpoint
) -> None:
    receiver.answers = [(503, {})]
    deliver_due()
    make_due()
    deliver_due()
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(waiting.pk)
    assert first.body == second.body
    Webhook(endpoint.secret).verify(second.body, second.headers)


def test_one_that_nobody_listens_at_is_tried_again(waiting: Delivery, endpoint: Endpoint) -> None:
    Endpoint.objects.update(url="http://127.0.0.1:9/")
    deliver_due()
    assert only().status == "pending"
    assert "ConnectError" in only().last_error


def test_after_the_last_try_it_has_failed(waiting: Delivery, receiver: Receiver, settings: Any) -> None:
    settings.NOTICE_TRIES = 2
    receiver.answers = [(500, {})] * 2
    for _ in range(3):
        deliver_due()
        make_due()
    assert (only().status, only().last_code, only().last_error) == ("failed", 500, "HTTP 500")
    assert len(receiver.got) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(waiting: Delivery, receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {"Retry-After": "900"})]
    deliver_due()
    assert 890 < due_in() <= 900


def test_retry_after_can_be_a_date_and_is_no_more_than_a_day(waiting: Delivery, receiver: Receiver) -> None:
    receiver.answers = [(503, {"Retry-After": "Wed, 21 Oct 2065 07:28:00 GMT"})]
    deliver_due()
    assert timedelta(hours=23).total_seconds() < due_in() <= timedelta(days=1).total_seconds()


def test_410_switches_the_endpoint_off(waiting: Delivery, receiver: Receiver, endpoint: Endpoint, ask: Any) -> None:
    receiver.answers = [(410, {})]
    deliver_due()
    endpoint.refresh_from_db()
    assert not endpoint.active
    assert "410" in endpoint.note
    assert only().status == "failed"
    ask()
    assert events() == ["test"]


def test_what_still_waits_for_an_endpoint_that_is_off_is_not_sent(waiting: Delivery, receiver: Receiver) -> None:
    Endpoint.objects.update(active=False)
    deliver_due()
    assert (only().status, receiver.got) == ("failed", [])


def test_a_redirect_is_not_followed(waiting: Delivery, receiver: Receiver) -> None:
    receiver.answers = [(307, {"Location": receiver.url + "/elsewhere"})]
    deliver_due()
    assert [got.path for got in receiver.got] == ["/hook"]
    assert (only().status, only().last_code) == ("pending", 307)


@pytest.mark.parametrize("how", [{"seconds": 3.0}, {"drips": b"HTTP/1.1 200 OK\r\nx: "}])
def test_one_that_takes_too_long_is_given_up(waiting: Delivery, receiver: Receiver, settings: Any, how: Any) -> None:
    vars(receiver).update(how)
    settings.NOTICE_TIMEOUT_SECONDS = 0.4
    before = timezone.now()
    deliver_due()
    assert timezone.now() - before < timedelta(seconds=2)
    assert "ReadTimeout" in only().last_error


def test_an_answer_counts_whatever_becomes_of_its_body(waiting: Delivery, receiver: Receiver, settings: Any) -> None:
    receiver.drips = b"HTTP/1.1 200 OK\r\n\r\n"
    settings.NOTICE_TIMEOUT_SECONDS = 0.4
    deliver_due()
    assert (only().status, only().last_code) == ("sent", 200)


def test_of_a_large_answer_little_is_read(waiting: Delivery, receiver: Receiver, settings: Any) -> None:
    receiver.drips = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000
    before = timezone.now()
    deliver_due()
    assert only().status == "sent"
    assert timezone.now() - before < timedelta(seconds=2)


def test_an_ipv6_address_is_named_in_brackets(monkeypatch: Any, settings: Any) -> None:
    sent: list[bytes] = []
    stream = httpcore2.MockBackend([b"HTTP/1.1 204 No Content\r\n\r\n"]).connect_tcp("", 0)
    monkeypatch.setattr(stream, "write", lambda buffer, timeout=None: sent.append(buffer))
    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", lambda *args: stream)
    settings.WEBHOOK_ALLOW_NETWORKS = ["fd00::/8"]
    assert http_client.post("http://[fd00::1]:8080/hook", {}, b"{}", 1).status == 204
    assert b"host: [fd00::1]:8080" in b"".join(sent).lower()
