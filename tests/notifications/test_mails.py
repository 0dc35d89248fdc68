"""E-mails: who gets one, and what stands in it."""

from smtplib import SMTPDataError, SMTPRecipientsRefused
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.mail import EmailMessage
from django.utils.translation import get_language

from agents import services as agents
from agents.models import Interrupt
from agents.policy import Terms, Verdict
from notifications import outbox
from notifications.delivery import deliver_due
from notifications.models import Delivery, Subscription
from reviews.decisions.services import Choice, decide
from tests.support.accounts import grant
from tests.support.receiver import make_due, subscribed

pytestmark = pytest.mark.django_db(transaction=True)


def readers() -> list[str]:
    """Who gets what is due."""
    mail.outbox = []
    deliver_due()
    return sorted(message.to[0].partition("@")[0] for message in mail.outbox)


def only() -> EmailMessage:
    assert len(mail.outbox) == 1
    return mail.outbox[0]


# Who


def test_a_reviewer_is_told_of_a_new_review(rita: User, ask: Any) -> None:
    ask()
    assert readers() == ["rita"]


def test_nobody_is_told_who_has_not_asked_for_it(reviewer: User, ask: Any) -> None:
    User.objects.update(email="rita@example.com")
    ask()
    assert readers() == []


def test_a_user_who_may_not_see_a_review_gets_no_mail(bob: User, ask: Any) -> None:
    subscribed(bob)
    agents.cancel(ask().task)
    assert readers() == []
    assert set(Delivery.objects.values_list("status", flat=True)) == {"dropped"}


def test_one_who_may_look_but_not_decide_is_not_asked_to(ask: Any, reviewer: User) -> None:
    subscribed(grant(User.objects.create_user("vera", is_staff=True), "reviews.view_review"))
    review = ask()
    assert readers() == []
    decide(review.pk, reviewer, Choice("accept"))
    assert readers() == ["vera"]


def test_one_who_asked_is_not_mailed_where_they_have_to_differ(rita: User, ask: Any) -> None:
    ask("email bob@example.com saying hello", user="rita")
    assert readers() == []


def test_of_a_group_that_decides_only_the_members_are(rita: User, ask: Any) -> None:
    other = subscribed(grant(User.objects.create_user("olga"), "reviews.decide_review"))
    other.groups.add(Group.objects.create(name="Finance"))
    ask()
    Interrupt.objects.update(verdict_text=Verdict("review", "test", Terms(deciders=("group:Finance",))).to_text())
    assert readers() == ["olga"]


def test_rights_count_when_it_is_sent(rita: User, ask: Any) -> None:
    ask()
    rita.user_permissions.clear()
    assert readers() == []


def test_an_inactive_account_and_one_without_an_address_get_none(rita: User, ask: Any) -> None:
    ask()
    User.objects.filter(pk=rita.pk).update(is_active=False)
    assert readers() == []
    User.objects.filter(pk=rita.pk).update(is_active=True, email="")
    ask()
    assert readers() == []


def test_who_has_unsubscribed_gets_none(rita: User, ask: Any) -> None:
    ask()
    Subscription.objects.all().delete()
    assert readers() == []


def test_nobody_is_asked_for_what_has_been_decided(rita: User, ask: Any, reviewer: User) -> None:
    decide(ask().pk, User.objects.create_superuser("root"), Choice("accept"))
    assert readers() == ["rita"]
    assert only().subject == "[Agentsite] A review was decided: book_hotel"


def test_who_decides_is_not_told_of_it(rita: User, ask: Any) -> None:
    decide(ask().pk, rita, Choice("accept"))
    assert readers() == []


def test_by_default_only_high_risk_is_told_of(reviewer: User, ask: Any) -> None:
    subscribed(reviewer, "review.new", high_risk_only=True)
    ask()
    assert readers() == []
    ask("email bob@example.com saying hello")
    assert readers() == ["rita"]


def test_the_owner_is_told_of_the_end_of_a_task_and_others_are_not(ann: User, bob: User, rita: User, ask: Any) -> None:
    for user in (ann, bob):
        subscribed(user, "task.cancelled")
    agents.cancel(ask().task)
    assert readers() == ["ann"]


def test_staff_who_may_see_tasks_are_told_of_all(rita: User, ask: Any) -> None:
    grant(rita, "agents.view_task")
    agents.cancel(ask().task)
    assert "rita" in readers()


# What


def test_it_has_ids_and_a_link_and_no_argument(rita: User, ask: Any) -> None:
    review = ask()
    deliver_due()
    message = only()
    assert message.subject == "[Agentsite] A review is waiting for a decision: book_hotel"
    for shown in (
        str(review.pk),
        "User: ann",
        "Risk: Medium",
        "Status: Pending",
        f"https://agents.example.com/admin/reviews/review/{review.pk}/",
    ):
        assert shown in message.body
    assert "Ritz" not in f"{message.subject} {message.body}"


def test_it_speaks_the_readers_language(rita: User, ask: Any, monkeypatch: Any) -> None:
    Subscription.objects.update(language="zh-hans")
    monkeypatch.setattr("notifications.transports.email._", lambda text: f"{get_language()} {text}")
    ask()
    deliver_due()
    assert only().subject == "[Agentsite] zh-hans A review is waiting for a decision: book_hotel"


def test_one_who_does_not_get_into_the_admin_gets_no_link_to_it(ann: User, ask: Any) -> None:
    subscribed(ann, "review.new")
    ask()
    deliver_due()
    assert "https:" not in only().body


def test_what_a_client_chose_stays_in_its_line(rita: User, ask: Any) -> None:
    review = Interrupt.objects.select_related("task__session").get(pk=ask().pk)
    Delivery.objects.all().delete()
    review.tool = "pay\nUser: somebody\u202e"
    outbox.announce(outbox.Event.REVIEW_NEW, review, outbox.Listening())
    deliver_due()
    assert r"Tool: pay User: somebody\u{202e}" in only().body


def test_each_try_is_the_same_message(rita: User, ask: Any, monkeypatch: Any) -> None:
    ask()
    deliver_due()
    Delivery.objects.update(status="pending")
    make_due()
    deliver_due()
    first, second = mail.outbox
    assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SMTPDataError(451, b"rita@example.com is busy"), 451, "SMTPDataError"),
        (SMTPRecipientsRefused({"rita@example.com": (550, b"no")}), None, "SMTPRecipientsRefused"),
        (TimeoutError("rita@example.com"), None, "TimeoutError"),
    ],
)
def test_a_mail_server_that_fails_is_tried_again_and_names_nobody(
    rita: User, ask: Any, monkeypatch: Any, error: Exception, code: int | None, said: str
) -> None:
    def fails(self: Any) -> None:
        raise error

    ask()
    monkeypatch.setattr(EmailMessage, "send", fails)
    deliver_due()
    found = Delivery.objects.get()
    assert (found.status, found.last_code, found.last_error) == ("pending", code, said)
