"""The queue's tabs, order and filters, and the badge in every page's header."""

from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from agents.models import Interrupt, Task
from core import marks
from reviews.console import page
from tests.support.accounts import grant

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "/admin/reviews/review/"


@pytest.fixture
def waiting(invoke: Any, work: Any) -> list[Interrupt]:
    """Four bookings and a mail."""
    for number in range(4):
        invoke(f"book the Hotel{number} for 2 nights", session=f"s{number}")
    invoke("email bob@example.com saying hello", session="mail")
    work()
    return list(Interrupt.objects.order_by("created_at"))


def listed(desk: Client, query: str = "") -> list[Any]:
    """The reviews that the queue lists, in its order."""
    return [row.pk for row in desk.get(f"{QUEUE}{query}").context["cl"].result_list]


def change(review: Interrupt, **values: Any) -> None:
    Interrupt.objects.filter(pk=review.pk).update(**values)


def test_the_soonest_to_expire_is_first_and_what_never_expires_is_last(desk: Client, waiting: list[Interrupt]) -> None:
    change(waiting[0], expires_at=None)
    change(waiting[3], expires_at="2020-01-01T00:00:00Z")
    order = listed(desk)
    assert order[0] == waiting[3].pk
    assert order[-1] == waiting[0].pk


def test_each_tab_lists_and_counts_its_own(desk: Client, waiting: list[Interrupt], reviewer: User) -> None:
    change(waiting[0], expires_at="2020-01-01T00:00:00Z")
    change(waiting[1], kind="in_doubt")
    change(waiting[2], status="approved", answered_at="2026-01-01T00:00:00Z")
    Task.objects.filter(pk=waiting[3].task_id).update(submitted_by=reviewer)
    expected = {
        "overdue": waiting[0],
        "doubt": waiting[1],
        "decided": waiting[2],
        "mine": waiting[3],
        "high": waiting[4],
    }
    for tab, review in expected.items():
        assert listed(desk, f"?status={tab}") == [review.pk]
    tabs = desk.get(QUEUE).context["cl"].tab_choices
    assert {tab["name"]: tab["count"] for tab in tabs if tab["count"]} == {
        "": 4,
        "mine": 1,
        "high": 1,
        "overdue": 1,
        "doubt": 1,
    }


def test_the_decided_are_listed_newest_first_with_their_status(desk: Client, waiting: list[Interrupt]) -> None:
    change(waiting[0], status="rejected", answered_at="2026-01-01T00:00:00Z")
    change(waiting[1], status="approved", answered_at="2026-01-02T00:00:00Z")
    assert listed(desk, "?status=decided") == [waiting[1].pk, waiting[0].pk]
    assert "state-rejected" in desk.get(f"{QUEUE}?status=decided").content.decode()


@pytest.mark.parametrize(("query", "count"), [("?tool=send_email", 1), ("?risk=medium", 4), ("?q=Hotel2", 1), ("", 5)])
def test_filters_and_search(desk: Client, waiting: list[Interrupt], query: str, count: int) -> None:
    assert len(listed(desk, query)) == count


@pytest.mark.parametrize(("tool", "count"), [("send_email", 1), ("no_such_tool", 0)])
def test_a_tool_that_came_after_the_names_were_cached_filters_too(
    desk: Client, invoke: Any, work: Any, tool: str, count: int
) -> None:
    """Django leaves a filter without choices out, and would list all."""
    cache.clear()
    assert desk.get(QUEUE).status_code == 200
    invoke("email bob@example.com saying hello")
    invoke("book the Ritz for 2 nights", session="other")
    work()
    assert len(listed(desk, f"?tool={tool}")) == count
    assert "By tool" in desk.get(f"{QUEUE}?tool={tool}").content.decode()


def test_the_pages_of_the_queue_are_counted_right(desk: Client, waiting: list[Interrupt], monkeypatch: Any) -> None:
    assert desk.get(QUEUE).context["cl"].result_count == 5
    assert desk.get(f"{QUEUE}?status=mine").context["cl"].result_count == 0
    assert desk.get(f"{QUEUE}?tool=book_hotel").context["cl"].result_count == 4


def test_the_rows_are_fetched_with_the_lists_own_filters(desk: Client, waiting: list[Interrupt]) -> None:
    body = desk.get(f"{QUEUE}rows/?tool=send_email").json()
    assert str(waiting[4].pk) in body["rows"]
    assert str(waiting[0].pk) not in body["rows"]
    assert body["pending"] == 5
    assert "aria-current" in body["tabs"]


def test_a_list_that_there_is_not_has_no_rows(desk: Client, waiting: list[Interrupt]) -> None:
    assert desk.get(f"{QUEUE}rows/?nonsense__x=1").status_code == 400


def test_who_looks_at_a_review_is_shown(desk: Client, waiting: list[Interrupt], monkeypatch: Any) -> None:
    monkeypatch.setattr(page, "claims", lambda reviews: {waiting[0].pk: "vic\u202e"})
    assert r"vic\u{202e}" in desk.get(QUEUE).content.decode()
    assert r"claimed by vic\u{202e}" in desk.get(f"{QUEUE}{waiting[0].pk}/change/").content.decode()


@pytest.mark.parametrize("path", ["/admin/", QUEUE, "/admin/password_change/"])
def test_every_page_says_how_many_wait(desk: Client, waiting: list[Interrupt], path: str) -> None:
    content = desk.get(path).content.decode()
    assert "data-pending>5<" in content
    assert "<title>(5) " in content


def test_who_may_decide_nothing_is_told_no_number(waiting: list[Interrupt]) -> None:
    client = Client()
    client.force_login(grant(User.objects.create_user("vic", is_staff=True), "reviews.view_review"))
    assert "data-pending" not in client.get(QUEUE).content.decode()
    assert "data-pending" not in Client().get("/admin/login/").content.decode()


def test_hidden_characters_are_marked_in_the_list_and_the_title(desk: Client, waiting: list[Interrupt]) -> None:
    change(waiting[0], tool="a\u202eb<i>", args_text='{"\\u202ek":"<b>"}')
    for path in (QUEUE, f"{QUEUE}{waiting[0].pk}/change/"):
        content = desk.get(path).content.decode()
        assert "\u202e" not in content
        assert r"a\u{202e}b&lt;i&gt;" in content


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ('{"hotel": "Ritz", "note": null}', "hotel: Ritz"),
        (
            '{"changes": {"email": null, "tier": "gold", "tags": [{"a": null, "b": 1}]}}',
            '{"tier": "gold", "tags": [{"b": 1}]}',
        ),
        ('"a\\nplain  text"', 'a<mark class="unseen">↵</mark>plain  text'),
        ("[1, null]", "[1, null]"),
    ],
)
def test_arguments_stand_in_one_line_without_what_is_null(asked: str, shown: str) -> None:
    line = unescape(marks.one_line(page.line(Interrupt(args_text=asked))))
    assert shown in line
    assert "\n" not in line
    assert "note" not in line
    assert "email" not in line
