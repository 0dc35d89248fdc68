"""Receivers that answer oddly or not at all, the schedule of tries, and endpoints that are switched off between."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from notifications import outbox
from notifications.delivery import deliver_due, lanes
from notifications.delivery_results import GROWTH, pause
from notifications.events import Event
from notifications.models import Delivery, Endpoint, Subscription, new_secret
from notifications.transports import address_policy, http_client
from tests.support.receiver import Receiver, make_due

pytestmark = pytest.mark.django_db(transaction=True)
DAY = 86_400.0


def only() -> Delivery:
    return Delivery.objects.get()


def due_in() -> float:
    return (only().due_at - timezone.now()).total_seconds()


@pytest.fixture
def waiting(endpoint: Endpoint) -> Delivery:
    return outbox.send_test(endpoint)


@pytest.fixture
def raw(settings: Any) -> Iterator[Callable[[bytes], str]]:
    """Makes the address of a receiver that reads a request, sends these bytes to each who connects, and hangs up."""
    settings.WEBHOOK_ALLOW_NETWORKS = ["127.0.0.0/8"]
    opened: list[socket.socket] = []

    def serve(listener: socket.socket, answer: bytes) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # the test is over
                return
            with connection, suppress(OSError):  # who sends may hang up first
                request = connection.recv(65_536)
                while b"\r\n\r\n{" not in request and request[:4] == b"POST":
                    more = connection.recv(65_536)
                    request += more
                    if not more:
                        break
                connection.sendall(answer)

    def start(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)
        threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in opened:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


# What is no answer


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx",
    ],
)
def test_who_hangs_up_or_speaks_something_else_is_tried_again(raw: Any, waiting: Delivery, answer: bytes) -> None:
    Endpoint.objects.update(url=f"http://{raw(answer)}/")
    deliver_due()
    assert (only().status, only().last_code, only().tries) == ("pending", None, 1)
    assert "RemoteProtocolError: " in only().last_error


def test_who_does_not_speak_tls_where_it_is_asked_for_is_tried_again(raw: Any, waiting: Delivery) -> None:
    Endpoint.objects.update(url=f"https://{raw(b'HTTP/1.1 204 No Content')}/")
    deliver_due()
    assert (only().status, only().last_code) == ("pending", None)
    assert "ConnectError: " in only().last_error
    assert "SSL" in only().last_error


def test_headers_without_end_are_no_answer(raw: Any, waiting: Delivery) -> None:
    address = raw(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 300_000)
    Endpoint.objects.update(url=f"http://{address}/")
    deliver_due()
    assert only().status == "pending"
    assert only().last_code is None


def test_an_old_http_without_a_reason_is_an_answer(raw: Any, waiting: Delivery) -> None:
    address = raw(b"HTTP/1.0 204 \r\n\r\n")
    Endpoint.objects.update(url=f"http://{address}/")
    deliver_due()
    assert (only().status, only().last_code) == ("sent", 204)


def test_a_name_that_leads_nowhere_any_more_is_tried_again_with_the_name(waiting: Delivery) -> None:
    Endpoint.objects.update(url="https://receiver.invalid/hook")
    deliver_due()
    assert only().status == "pending"
    assert only().last_error == "Refused: receiver.invalid can't be resolved."


def test_a_network_that_is_allowed_no_more_gets_nothing(waiting: Delivery, receiver: Receiver, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = []
    deliver_due()
    assert receiver.got == []
    assert only().status == "pending"
    assert "is not on the public internet (see WEBHOOK_ALLOW_NETWORKS)" in only().last_error


def test_an_error_that_is_long_is_cut_to_the_column(waiting: Delivery) -> None:
    Endpoint.objects.update(url=f"https://{'a' * 60}.{'b' * 60}.{'c' * 60}.invalid/")
    deliver_due()
    assert len(only().last_error) == 200
    assert only().last_error.endswith("…")


# Answers


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_status_from_200_to_299_means_that_it_arrived(waiting: Delivery, receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {"Retry-After": "900"})]
    deliver_due()
    assert (only().status, only().last_code, only().last_error) == ("sent", status, "")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 411, 418, 422, 500, 501, 599])
def test_no_other_error_is_final(waiting: Delivery, receiver: Receiver, endpoint: Endpoint, status: int) -> None:
    receiver.answers = [(status, {})]
    deliver_due()
    assert (only().status, only().last_code, only().last_error) == ("pending", status, f"HTTP {status}")
    endpoint.refresh_from_db()
    assert endpoint.active


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 308])
def test_every_redirect_is_named_as_one(waiting: Delivery, receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {"Location": "/elsewhere"})]
    deliver_due()
    assert only().last_error == "The receiver sent a redirect, which is not followed."
    assert len(receiver.got) == 1


def test_a_success_after_a_failure_leaves_no_error_behind(waiting: Delivery, receiver: Receiver) -> None:
    receiver.answers = [(500, {}), (200, {})]
    deliver_due()
    assert only().sent_at is None
    make_due()
    deliver_due()
    assert (only().status, only().last_code, only().last_error, only().attempts) == ("sent", 200, "", 2)


@pytest.mark.parametrize("text", ["soon", "", "-5", "1.5", "²", "0x10", "Wed, 99 Oct 2065 07:28:00 GMT"])
def test_a_wait_that_nobody_can_read_is_no_wait(text: str) -> None:
    assert http_client._retry_after([(b"Retry-After", text.encode())]) == 0.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), (" 7 ", 7.0), ("9" * 400, 999_999_999.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)
def test_a_wait_is_a_number_of_seconds_or_a_date_ahead(text: str, seconds: float) -> None:
    assert http_client._retry_after([(b"date", b"x"), (b"RETRY-AFTER", text.encode())]) == seconds


def test_a_wait_of_years_is_a_day(waiting: Delivery, receiver: Receiver) -> None:
    receiver.answers = [(503, {"Retry-After": "9" * 400})]
    deliver_due()
    assert DAY - 60 < due_in() <= DAY


def test_a_wait_that_is_shorter_than_our_own_changes_nothing(
    waiting: Delivery, receiver: Receiver, settings: Any
) -> None:
    settings.NOTICE_RETRY_SECONDS = 1000.0
    receiver.answers = [(429, {"Retry-After": "1"})]
    deliver_due()
    assert 740 < due_in() <= 1250


# The schedule


@pytest.mark.parametrize("tries", [1, 2, 3, 4])
def test_each_pause_is_four_times_the_last_give_or_take_a_quarter(settings: Any, tries: int) -> None:
    settings.NOTICE_RETRY_SECONDS = 10.0
    grown = 10.0 * GROWTH ** (tries - 1)
    found = [pause(tries, 0.0) for _ in range(200)]
    assert grown * 0.75 <= min(found) < max(found) <= grown * 1.25


@pytest.mark.parametrize(("tries", "retry"), [(20, 0.1), (1000, 0.1), (1, 200_000.0), (10**9, 86_400.0)])
def test_no_pause_is_longer_than_a_day(settings: Any, tries: int, retry: float) -> None:
    settings.NOTICE_RETRY_SECONDS = retry
    assert pause(tries, 0.0) == pause(tries, 10 * DAY) == DAY


def test_where_one_try_is_allowed_the_first_failure_is_the_last(
    waiting: Delivery, receiver: Receiver, settings: Any
) -> None:
    settings.NOTICE_TRIES = 1
    receiver.answers = [(500, {})]
    deliver_due()
    assert (only().status, only().tries, only().last_error) == ("failed", 1, "HTTP 500")
    make_due()
    assert lanes() == []


def test_tries_that_were_taken_away_meanwhile_end_it_at_the_next(
    waiting: Delivery, receiver: Receiver, settings: Any
) -> None:
    receiver.answers = [(500, {})] * 3
    for _ in range(2):
        deliver_due()
        make_due()
    assert only().status == "pending"
    settings.NOTICE_TRIES = 1
    deliver_due()
    assert (only().status, only().tries) == ("failed", 3)


def test_sent_again_it_has_all_its_tries_and_keeps_its_id(waiting: Delivery, receiver: Receiver, settings: Any) -> None:
    settings.NOTICE_TRIES = 2
    receiver.answers = [(500, {})] * 3
    for _ in range(2):
        deliver_due()
        make_due()
    assert only().status == "failed"
    assert outbox.again(Delivery.objects.all()) == 1
    deliver_due()
    assert (only().status, only().tries, only().attempts) == ("pending", 1, 3)
    make_due()
    deliver_due()
    assert (only().status, only().tries, only().attempts) == ("sent", 2, 4)
    assert {got.headers["webhook-id"] for got in receiver.got} == {str(waiting.pk)}


def test_what_is_not_due_yet_is_left_alone(waiting: Delivery, receiver: Receiver) -> None:
    Delivery.objects.update(due_at=timezone.now() + timedelta(minutes=1))
    deliver_due()
    assert (receiver.got, only().attempts) == ([], 0)


# Endpoints


def test_one_that_is_switched_off_fails_what_waits_without_a_try_at_the_network(
    waiting: Delivery, receiver: Receiver, endpoint: Endpoint
) -> None:
    second = outbox.send_test(endpoint)
    Endpoint.objects.update(active=False)
    deliver_due()
    make_due()
    deliver_due()
    rows = Delivery.objects.filter(pk__in=(waiting.pk, second.pk))
    assert {(one.status, one.last_error) for one in rows} == {("failed", "The endpoint is switched off.")}
    assert receiver.got == []


def test_of_two_that_wait_at_one_that_is_gone_only_one_is_sent(
    waiting: Delivery, receiver: Receiver, endpoint: Endpoint
) -> None:
    outbox.send_test(endpoint)
    receiver.answers = [(410, {}), (410, {})]
    deliver_due()
    make_due()
    deliver_due()
    assert len(receiver.got) == 1
    assert list(Delivery.objects.values_list("status", flat=True)) == ["failed", "failed"]


def test_switched_on_again_it_gets_what_is_sent_again(waiting: Delivery, receiver: Receiver) -> None:
    Endpoint.objects.update(active=False)
    deliver_due()
    Endpoint.objects.update(active=True)
    outbox.again(Delivery.objects.all())
    deliver_due()
    assert (only().status, len(receiver.got)) == ("sent", 1)


def test_one_that_is_off_may_have_an_address_that_is_refused(endpoint: Endpoint) -> None:
    endpoint.url, endpoint.active = "https://receiver.invalid/", False
    endpoint.full_clean()
    endpoint.active = True
    with pytest.raises(Exception, match=r"receiver\.invalid can't be resolved"):
        endpoint.full_clean()


@pytest.mark.parametrize(
    ("pattern", "user", "wanted"),
    [
        ("*", "ann", True),
        ("ann", "ann", True),
        ("ann", "Ann", False),
        ("ann", "anna", False),
        ("ann*", "ann|7", True),
        ("?", "张", True),
        ("[ab]*", "bob", True),
        ("", "ann", False),
    ],
)
def test_an_endpoint_wants_the_users_of_its_pattern(pattern: str, user: str, wanted: bool) -> None:
    assert Endpoint(name="x", user=pattern).wants("review.new", user) is wanted
    assert not Endpoint(name="x", user=pattern, events=[]).wants("review.new", user)


@pytest.mark.parametrize(
    ("event", "risk", "wanted"),
    [
        (Event.REVIEW_NEW, "high", True),
        (Event.REVIEW_NEW, "medium", False),
        (Event.REVIEW_NEARLY_EXPIRED, "low", False),
        (Event.REVIEW_DECIDED, "low", True),
        (Event.TASK_ERROR, "", True),
        (Event.TEST, "high", False),
    ],
)
def test_high_risk_only_is_about_events_that_ask(event: Event, risk: str, wanted: bool) -> None:
    events = [one.value for one in Event if one is not Event.TEST]
    assert Subscription(user=User(username="x"), events=events, high_risk_only=True).wants(event, risk) is wanted


def test_a_new_secret_is_long_enough_and_never_the_same() -> None:
    found = {new_secret() for _ in range(50)}
    assert len(found) == 50
    assert all(one.startswith("whsec_") and len(one) <= 100 for one in found)


# Addresses


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://127.0.0.1:x/", "This is not a valid address."),
        ("https://[::1/", "This is not a valid address."),
        ("http:///hook", "must start with https://"),
        ("HTTPS//x", "must start with https://"),
        ("https://a b/", "must start with https://"),
        ("https://x/\x7f", "must start with https://"),
        ("https://ann@127.0.0.1/", "Leave out user names, passwords and fragments."),
        ("https://:secret@127.0.0.1/", "Leave out user names, passwords and fragments."),
        ("https://@127.0.0.1/", "Leave out user names, passwords and fragments."),
        ("https://127.0.0.1/#x", "Leave out user names, passwords and fragments."),
        ("https://127.0.0.1/", "127.0.0.1 is not on the public internet"),
        ("http://93.184.215.14/", "On the public internet, only https:// is allowed."),
        (f"https://{'a' * 64}.example/", "can't be resolved"),
    ],
)
def test_who_enters_an_address_reads_why_it_is_refused(url: str, told: str, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = []
    with pytest.raises(address_policy.Refused) as refused:
        address_policy.check_url(url)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("64:ff9b::a00:1", "10.0.0.1"),
        ("2002:a00:1::", "10.0.0.1"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45"),
        ("93.184.215.14", "93.184.215.14"),
    ],
)
def test_an_address_in_a_wrapping_is_judged_by_what_is_in_it(text: str, meant: str) -> None:
    assert str(address_policy.plain(text)) == meant


@pytest.mark.parametrize("days", [1, 36_500])
def test_deliveries_of_exactly_the_days_that_are_kept_stay(waiting: Delivery, settings: Any, days: int) -> None:
    settings.NOTICE_RETENTION_DAYS = days
    age = timedelta(days=days)
    Delivery.objects.update(created_at=timezone.now() - age + timedelta(minutes=1))
    assert list(outbox.old_deliveries()) == []
    Delivery.objects.update(created_at=timezone.now() - age - timedelta(minutes=1))
    assert list(outbox.old_deliveries()) == [1]
