"""The review queue and the review page, as the test client sees them."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents.models import Interrupt
from agents.policy import Terms, Verdict
from reviews.decisions import services
from tests.support.accounts import grant
from tests.support.helpers import answer_of, open_review

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "/admin/reviews/review/"


@pytest.fixture
def mail(invoke: Any, work: Any) -> Interrupt:
    task = invoke("email bob@example.com saying hello", session="mail")
    work()
    return open_review(task)


def page_of(review: Interrupt) -> str:
    return f"{QUEUE}{review.pk}/change/"


def post(desk: Client, review: Interrupt, response_type: str, **more: Any) -> Any:
    body = {"response_type": response_type, "version": review.version, "digest": review.args_digest, **more}
    return desk.post(page_of(review), body)


def status_of(review: Interrupt) -> str:
    review.refresh_from_db()
    return str(review.status)


def test_the_queue_shows_what_is_pending(desk: Client, booking: Interrupt) -> None:
    content = desk.get(QUEUE).content.decode()
    assert "book_hotel" in content
    assert "Ritz" in content
    Interrupt.objects.update(status="approved")
    assert "Ritz" not in desk.get(QUEUE).content.decode()
    assert "Ritz" in desk.get(f"{QUEUE}?status=all").content.decode()


def test_the_page_shows_the_call_its_arguments_and_the_conversation(desk: Client, booking: Interrupt) -> None:
    content = desk.get(page_of(booking)).content.decode()
    for shown in ("book_hotel", "Books Ritz for 2 nights.", "book the Ritz for 2 nights", "medium risk", "ann"):
        assert shown in content


def test_approving_runs_the_call_as_asked(desk: Client, booking: Interrupt, work: Any) -> None:
    assert post(desk, booking, "accept").status_code == 302
    work()
    assert status_of(booking) == "approved"
    assert "Booked Ritz for 2 nights" in answer_of(booking.task)


def test_an_untouched_edit_is_an_approval(desk: Client, booking: Interrupt) -> None:
    post(desk, booking, "edit", **{"arg-0": "Ritz", "arg-1": "2"})
    assert status_of(booking) == "approved"


def test_an_edit_runs_the_changed_arguments_and_the_page_shows_the_difference(
    desk: Client, booking: Interrupt, work: Any
) -> None:
    post(desk, booking, "accept", **{"arg-0": "Savoy"})
    work()
    assert "Booked Savoy" in answer_of(booking.task)
    content = desk.get(page_of(booking)).content.decode()
    assert "<del>Ritz</del><ins>Savoy</ins>" in content
    assert status_of(booking) == "edited"
    assert booking.args == {"hotel_name": "Ritz", "nights": 2}


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("arg-1", "two", "Enter a whole number."),
        ("arg-1", "61", "At most 60."),
        ("arg-0", "", "At least 1 characters."),
    ],
)
def test_an_edit_that_does_not_fit_is_told_at_its_field_and_keeps_what_was_typed(
    desk: Client, booking: Interrupt, name: str, text: str, error: str
) -> None:
    response = post(desk, booking, "accept", **{name: text})
    content = response.content.decode()
    assert error in content.split(f'id="error-{name}"')[1].split("</p>")[0]
    assert f'value="{text}"' in content
    assert status_of(booking) == "pending"


def test_an_error_that_only_the_policy_finds_is_told(desk: Client, booking: Interrupt, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": "tests.reviews.test_admin.deny"}}
    response = post(desk, booking, "accept", **{"arg-0": "Savoy"})
    assert "too posh" in response.content.decode()
    assert status_of(booking) == "pending"


def deny(call: Any) -> Verdict:
    """A policy that came to deny what it has asked about."""
    return Verdict("deny", "posh", Terms(), None, "too posh")


def test_without_a_script_the_changes_are_shown_before_they_are_sent(desk: Client, booking: Interrupt) -> None:
    content = post(desk, booking, "preview", **{"arg-0": "Savoy"}).content.decode()
    assert "<del>Ritz</del><ins>Savoy</ins>" in content
    assert status_of(booking) == "pending"


def test_where_no_edit_is_allowed_no_argument_can_be_changed(desk: Client, booking: Interrupt, work: Any) -> None:
    Interrupt.objects.update(kind="in_doubt")
    assert 'name="arg-0"' not in desk.get(page_of(booking)).content.decode()
    post(desk, booking, "confirm", **{"arg-0": "Savoy"})
    assert status_of(booking) == "approved"
    assert booking.args == {"hotel_name": "Ritz", "nights": 2}


@pytest.mark.parametrize(("kind", "field"), [("reject", "message"), ("response", "answer")])
def test_reject_and_answer_need_a_text(desk: Client, booking: Interrupt, kind: str, field: str) -> None:
    assert field in post(desk, booking, kind, **{field: "  "}).context["form"].errors
    assert status_of(booking) == "pending"
    post(desk, booking, kind, **{field: "because"})
    assert status_of(booking) in ("rejected", "responded")


def test_arguments_that_do_not_fit_do_not_block_a_reject(desk: Client, booking: Interrupt) -> None:
    post(desk, booking, "reject", **{"arg-1": "two"}, message="no")
    assert status_of(booking) == "rejected"


def test_a_high_risk_asks_once_more(desk: Client, mail: Interrupt) -> None:
    content = post(desk, mail, "accept").content.decode()
    assert 'class="once-more"' in content
    assert status_of(mail) == "pending"
    post(desk, mail, "confirm")
    assert status_of(mail) == "approved"


def test_the_loser_of_a_race_sees_who_decided_what_and_keeps_the_text(
    desk: Client, booking: Interrupt, admin_client: Client
) -> None:
    post(admin_client, booking, "accept")
    response = post(desk, booking, "reject", message="too dear for us")
    content = response.content.decode()
    assert "admin decided first: Approved" in content
    assert "too dear for us" in content
    assert status_of(booking) == "approved"


@pytest.mark.parametrize("more", [{"version": 7}, {"digest": "other"}])
def test_what_changed_since_it_was_shown_is_not_decided(desk: Client, booking: Interrupt, more: Any) -> None:
    response = post(desk, booking, "accept", **more)
    assert "changed since you opened it" in response.content.decode()
    assert status_of(booking) == "pending"


def test_after_a_decision_comes_the_next_one(desk: Client, booking: Interrupt, mail: Interrupt) -> None:
    assert post(desk, booking, "accept").headers["Location"] == page_of(mail)
    assert post(desk, mail, "reject", message="no").headers["Location"] == QUEUE


def test_the_next_one_is_the_next_behind_it_and_then_the_first(desk: Client, invoke: Any, work: Any) -> None:
    for number in range(3):
        invoke("book the Ritz for 2 nights", session=f"s{number}")
        work()
    one, two, three = Interrupt.objects.order_by("expires_at")
    assert post(desk, two, "accept").headers["Location"] == page_of(three)
    assert post(desk, three, "accept").headers["Location"] == page_of(one)


def test_a_skip_goes_on_and_ends_in_the_queue(desk: Client, booking: Interrupt, mail: Interrupt) -> None:
    assert desk.get(f"{QUEUE}{booking.pk}/next/").headers["Location"] == page_of(mail)
    assert desk.get(f"{QUEUE}{mail.pk}/next/").headers["Location"] == QUEUE
    assert desk.get(f"{QUEUE}first/").headers["Location"] == page_of(booking)


def test_what_they_may_not_decide_is_not_the_next(desk: Client, booking: Interrupt, invoke: Any, work: Any) -> None:
    invoke("email bob@example.com saying hello", user="rita")
    work()
    assert desk.get(f"{QUEUE}{booking.pk}/next/").headers["Location"] == QUEUE


def test_9_a_decided_review_is_read_only(desk: Client, booking: Interrupt) -> None:
    post(desk, booking, "accept")
    content = desk.get(page_of(booking)).content.decode()
    assert "<button" not in content.split('id="content-main"')[1].split("</main>")[0]
    assert "by <strong>rita</strong>" in content


def test_9_an_expired_review_is_read_only(desk: Client, booking: Interrupt) -> None:
    Interrupt.objects.update(expires_at="2020-01-01T00:00:00Z")
    services.expire()
    content = desk.get(page_of(booking)).content.decode()
    assert "<button" not in content.split('id="content-main"')[1].split("</main>")[0]
    assert "nobody decided it in time" in content


def test_what_the_tool_gave_and_the_story_stand_on_a_decided_review(
    desk: Client, booking: Interrupt, work: Any
) -> None:
    post(desk, booking, "accept")
    work()
    content = desk.get(page_of(booking)).content.decode()
    for shown in ("Booked Ritz for 2 nights, confirmation", "requested by the agent", "returned a result"):
        assert shown in content


def test_past_decisions_on_the_same_tool_are_listed(desk: Client, booking: Interrupt, invoke: Any, work: Any) -> None:
    post(desk, booking, "accept")
    work()
    other = invoke("book the Savoy for 1 night", session="s2")
    work()
    content = desk.get(page_of(open_review(other))).content.decode()
    assert page_of(booking) in content.split('id="past-title"')[1]


def test_7_a_view_only_user_gets_no_buttons_and_a_403(booking: Interrupt) -> None:
    viewer = grant(User.objects.create_user("vic", is_staff=True), "reviews.view_review")
    client = Client()
    client.force_login(viewer)
    assert 'name="response_type"' not in client.get(page_of(booking)).content.decode()
    assert post(client, booking, "accept").status_code == 403
    assert status_of(booking) == "pending"


def test_7_a_reviewer_who_asked_is_barred_where_they_have_to_differ(desk: Client, invoke: Any, work: Any) -> None:
    task = invoke("email bob@example.com saying hello", user="rita")
    work()
    review = open_review(task)
    assert 'name="response_type"' not in desk.get(page_of(review)).content.decode()
    assert post(desk, review, "accept", confirmed="on").status_code == 403


def test_staff_without_the_right_sees_no_reviews(booking: Interrupt) -> None:
    client = Client()
    client.force_login(User.objects.create_user("stan", is_staff=True))
    assert client.get(page_of(booking)).status_code in (403, 404)
    assert client.get(QUEUE).status_code == 403


PAGES = ["", "rows/", "first/", "bulk/", "{pk}/change/", "{pk}/next/", "{pk}/claim/", "{pk}/always/"]


@pytest.mark.parametrize("page", PAGES)
def test_8_no_get_decides(desk: Client, booking: Interrupt, page: str) -> None:
    before = Interrupt.objects.values().get()
    data = {"response_type": "accept", "version": "1", "digest": booking.args_digest, "kind": "accept"}
    more = {"row": f"{booking.pk}:1:{booking.args_digest}", "action": "approve_selected", "index": "0"}
    desk.get(f"{QUEUE}{page.format(pk=booking.pk)}", {**data, **more})
    assert Interrupt.objects.values().get() == before


@pytest.mark.parametrize("page", PAGES)
def test_staff_without_the_right_opens_no_page(booking: Interrupt, page: str) -> None:
    client = Client()
    client.force_login(User.objects.create_user("stan", is_staff=True))
    assert client.get(f"{QUEUE}{page.format(pk=booking.pk)}").status_code in (403, 404)


def test_a_review_that_is_not_there_is_not_found(desk: Client, booking: Interrupt) -> None:
    assert desk.get(f"{QUEUE}{booking.task_id}/next/").status_code == 404


def test_a_doubt_has_its_own_words(desk: Client, booking: Interrupt) -> None:
    Interrupt.objects.update(kind="in_doubt")
    content = desk.get(page_of(booking)).content.decode()
    for words in ("Outcome unknown", "Run it again", "Mark as done", "Don't retry"):
        assert words in content
    assert 'name="arg-0"' not in content


def test_hidden_characters_are_shown_as_marks_and_markup_is_inert(desk: Client, booking: Interrupt) -> None:
    evil = '{"hotel_name":"<img src=x onerror=alert(1)>\\u202eevil\\u200b","nights":2}'
    Interrupt.objects.update(args_text=evil, description="</script><b>\u202e")
    content = desk.get(page_of(booking)).content.decode()
    assert "<img src=x" not in content
    assert "</script><b>" not in content
    assert r"\u{202e}evil\u{200b}" in content


def test_15_the_queue_needs_few_queries(
    desk: Client, invoke: Any, work: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(55):
        invoke("book the Ritz for 2 nights", session=f"s{number}")
    work()
    with django_assert_max_num_queries(12):
        desk.get(QUEUE)
    with django_assert_max_num_queries(12):
        desk.get(f"{QUEUE}rows/")


def test_the_policy_of_the_page_forbids_everything_foreign(desk: Client, booking: Interrupt) -> None:
    policy = desk.get(page_of(booking)).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
