"""Reviews over REST: who sees them, who decides them, and what a decision may say."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from agents.models import Interrupt, Task
from reviews.decisions import services
from reviews.decisions.services import expire
from reviews.models import Decision
from tests.support.accounts import client_of, grant
from tests.support.helpers import answer_of, ids_of, open_review, resume, status_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mail(invoke: Any, work: Any) -> Interrupt:
    """A call that only a reviewer who did not ask for it may decide."""
    task = invoke("email bob@example.com saying hello", session="mail")
    work()
    return open_review(task)


def decide(user: User | None, review: Interrupt, response_type: str = "accept", **more: Any) -> Any:
    body = {"response_type": response_type, "version": review.version, **more}
    return client_of(user).post(f"/reviews/{review.pk}/decide", body)


def test_a_review_shows_what_is_asked(booking: Interrupt, reviewer: User) -> None:
    shown = client_of(reviewer).get(f"/reviews/{booking.pk}").json()
    assert shown["action_request"] == {"action": "book_hotel", "args": {"hotel_name": "Ritz", "nights": 2}}
    assert shown["description"] == "Books Ritz for 2 nights."
    assert shown["allowed"] == ["accept", "edit", "response", "reject"]
    assert (shown["kind"], shown["status"], shown["risk"], shown["version"]) == ("tool_call", "pending", "medium", 1)


def test_the_queue_lists_what_is_pending(booking: Interrupt, mail: Interrupt, reviewer: User) -> None:
    decide(reviewer, mail)
    listed = client_of(reviewer).get("/reviews?status=pending").json()
    assert [row["id"] for row in listed["results"]] == [str(booking.pk)]


def test_a_decision_is_kept_with_who_and_when(booking: Interrupt, reviewer: User) -> None:
    answer = decide(reviewer, booking, "reject", message="too dear").json()
    assert answer["status"] == "rejected"
    assert {"by": "rita", "message": "too dear"}.items() <= answer["decision"].items()
    assert Decision.objects.get().by == reviewer


def test_the_same_decision_again_is_the_same_answer(booking: Interrupt, reviewer: User) -> None:
    first, second = (decide(reviewer, booking) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert Decision.objects.count() == 1


def test_another_decision_conflicts_and_names_the_winner(booking: Interrupt, reviewer: User, ann: User) -> None:
    decide(reviewer, booking, "reject", message="no")
    response = decide(ann, booking)
    assert (response.status_code, response.json()["code"]) == (409, "already_decided")
    assert response.json()["decision"]["by"] == "rita"


def test_a_version_that_is_not_the_current_one_is_stale(booking: Interrupt, reviewer: User) -> None:
    response = decide(reviewer, booking, version=7)
    assert (response.status_code, response.json()["code"]) == (409, "stale")
    assert not Decision.objects.exists()


def test_control_without_the_version_an_unseen_change_would_be_decided(booking: Interrupt, service: User) -> None:
    Interrupt.objects.update(version=7)
    assert resume(client_of(service), booking.task).status_code == 202


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({"hotel_name": "Ritz"}, None),
        ({"nights": 1}, "hotel_name"),
        ({"hotel_name": "Ritz", "nights": 0}, "nights"),
        ({"hotel_name": "Ritz", "nights": "two"}, "nights"),
        ({"hotel_name": "Ritz", "nights": 2, "spa": True}, "spa"),
        ("Ritz", "args"),
        (None, "args"),
        ([], "args"),
    ],
)
def test_an_edit_has_to_fit_the_tool(booking: Interrupt, reviewer: User, args: Any, field: str | None) -> None:
    response = decide(reviewer, booking, "edit", args=args)
    assert response.status_code == (400 if field else 200)
    assert field is None or field in response.json()["errors"]
    assert Decision.objects.exists() is (field is None)


def test_an_edit_that_changes_nothing_is_an_approval(booking: Interrupt, reviewer: User) -> None:
    args = {"hotel_name": "Ritz", "nights": 2}
    assert decide(reviewer, booking, "edit", args=args).json()["status"] == "approved"
    assert decide(reviewer, booking, "edit", args=args).status_code == 200


def test_the_order_of_keys_is_no_change_and_asks_nothing_again(booking: Interrupt, reviewer: User, work: Any) -> None:
    """PostgreSQL's JSON columns give back a schema with its keys in an order of their own."""
    properties = booking.args_schema["properties"]
    Interrupt.objects.update(args_schema={**booking.args_schema, "properties": dict(reversed(properties.items()))})
    assert decide(reviewer, booking, "edit", args={"nights": 3, "hotel_name": "Ritz"}).status_code == 200
    work()
    assert "Booked Ritz for 3 nights" in answer_of(Task.objects.get())


@pytest.mark.parametrize("args", [None, "", "   ", {"a": 1}, 5])
def test_a_response_needs_a_text(booking: Interrupt, reviewer: User, args: Any) -> None:
    assert decide(reviewer, booking, "response", args=args).status_code == 400


@pytest.mark.parametrize("body", [{}, {"response_type": "explode", "version": 1}, {"response_type": "accept"}])
def test_a_bad_decision_is_a_400(booking: Interrupt, reviewer: User, body: Any) -> None:
    assert client_of(reviewer).post(f"/reviews/{booking.pk}/decide", body).status_code == 400


@pytest.mark.parametrize("pk", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_missing_review_is_a_404(reviewer: User, pk: str) -> None:
    assert client_of(reviewer).get(f"/reviews/{pk}").status_code == 404


def test_an_outsider_sees_and_decides_nothing(booking: Interrupt, bob: User) -> None:
    assert client_of(bob).get(f"/reviews/{booking.pk}").status_code == 404
    assert client_of(bob).get("/reviews").json()["results"] == []
    assert decide(bob, booking).status_code == 404


def test_without_a_key_nothing(booking: Interrupt) -> None:
    assert decide(None, booking).status_code == 401


def test_the_owner_sees_but_may_not_decide_what_needs_another(mail: Interrupt, ann: User) -> None:
    assert client_of(ann).get(f"/reviews/{mail.pk}").json()["allowed"] == []
    assert decide(ann, mail).status_code == 403


def test_a_reviewer_who_asked_may_not_decide_where_they_have_to_differ(invoke: Any, work: Any, reviewer: User) -> None:
    task = invoke("email bob@example.com saying hello", user="rita")
    work()
    assert decide(reviewer, open_review(task)).status_code == 403


def test_the_principal_that_submitted_may_not_either(mail: Interrupt, service: User) -> None:
    grant(service, "reviews.decide_review")
    assert resume(client_of(User.objects.get(pk=service.pk)), mail.task).status_code == 403


def test_status_says_what_this_caller_may_answer(mail: Interrupt, service: User) -> None:
    config = status_of(client_of(service), mail.task)["last_response"]["interrupt_data"]["config"]
    assert set(config.values()) == {False}


def test_a_named_group_decides(booking: Interrupt, reviewer: User, work: Any) -> None:
    text = booking.verdict_text.replace('"requester","reviewers"', '"group:Finance"')
    Interrupt.objects.update(verdict_text=text)
    assert decide(reviewer, booking).status_code in (403, 404)
    reviewer.groups.add(Group.objects.create(name="Finance"))
    assert decide(reviewer, booking).status_code == 200


def test_resume_on_a_task_that_has_not_asked_is_a_409(invoke: Any, api: Any) -> None:
    response = resume(api, invoke("multiply 6 by 7"))
    assert (response.status_code, response.json()["code"]) == (409, "not_interrupted")


def test_resume_with_two_open_questions_needs_the_interrupt(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights and book the Savoy for 1 night")
    work()
    response = resume(api, task)
    assert (response.status_code, response.json()["code"]) == (409, "which_interrupt")
    assert len(response.json()["open_interrupts"]) == 2


def test_resume_never_answers_a_doubt_by_itself(booking: Interrupt, api: Any) -> None:
    Interrupt.objects.update(kind="in_doubt")
    assert resume(api, booking.task).json()["code"] == "which_interrupt"


def test_decisions_are_all_or_none(invoke: Any, work: Any, api: Any) -> None:
    task = invoke("book the Ritz for 2 nights and book the Savoy for 1 night")
    work()
    ritz, savoy = Interrupt.objects.all()
    decisions = [
        {"interrupt_id": str(ritz.pk), "response_type": "accept"},
        {"interrupt_id": str(savoy.pk), "response_type": "edit", "args": {"nights": 1}},
    ]
    assert api.post("/agent/resume", {**ids_of(task), "decisions": decisions}).status_code == 400
    assert not Decision.objects.exists()


def test_an_interrupt_of_another_task_is_refused(booking: Interrupt, mail: Interrupt, api: Any) -> None:
    response = resume(api, booking.task, interrupt_id=str(mail.pk))
    assert response.status_code == 400


def test_after_its_time_a_review_is_not_decided_though_nobody_has_closed_it(booking: Interrupt, reviewer: User) -> None:
    Interrupt.objects.update(expires_at="2020-01-01T00:00:00Z")
    response = decide(reviewer, booking)
    assert (response.status_code, response.json()["decision"]["by"]) == (409, "system")
    booking.refresh_from_db()
    assert booking.status == "expired"


def test_a_review_that_may_wait_is_decided_after_its_time(booking: Interrupt, reviewer: User) -> None:
    Interrupt.objects.update(expires_at="2020-01-01T00:00:00Z", on_expiry="wait")
    assert decide(reviewer, booking).status_code == 200


def test_another_digest_than_the_one_seen_is_stale(booking: Interrupt, reviewer: User) -> None:
    with pytest.raises(services.Stale):
        services.decide(booking.pk, reviewer, services.Choice("accept", digest="other"))
    services.decide(booking.pk, reviewer, services.Choice("accept", digest=booking.args_digest))


def test_an_expired_review_is_closed_by_the_system_and_never_approved(booking: Interrupt, work: Any) -> None:
    Interrupt.objects.update(expires_at="2020-01-01T00:00:00Z")
    assert (expire(), expire()) == (1, 0)
    work()
    booking.refresh_from_db()
    assert (booking.status, booking.answered_by) == ("expired", "system")
    assert "nobody decided it in time" in answer_of(Task.objects.get())
