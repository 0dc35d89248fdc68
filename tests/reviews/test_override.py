"""Separation of duties binds superusers too, unless they say why it should not."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Interrupt
from agents.policy import REVIEWERS, Call, Terms, Verdict
from core.errors import Invalid, NotAllowed
from reviews.audit import log
from reviews.decisions import permissions
from reviews.decisions.services import Choice, allowed_for, decide
from reviews.models import AuditEntry, Decision
from tests.support.accounts import client_of
from tests.support.helpers import ids_of, open_review

pytestmark = pytest.mark.django_db(transaction=True)

REASON = "nobody else is on duty"


def test_without_a_reason_a_superuser_is_barred(own: Interrupt, root: User) -> None:
    for reason in ("", "  "):
        with pytest.raises(NotAllowed):
            decide(own.pk, root, Choice("accept", override_reason=reason))
    assert (allowed_for(root, own), permissions.may_override(root, own)) == ([], True)


def test_with_a_reason_it_counts_and_is_recorded(own: Interrupt, root: User) -> None:
    assert decide(own.pk, root, Choice("accept", override_reason=f" {REASON}")).status == "approved"
    assert Decision.objects.get().override_reason == REASON
    entry = AuditEntry.objects.get(verb="overridden")
    assert (entry.actor, entry.object_id, entry.text_digest) == ("root", str(own.pk), log.digest(REASON))


def test_a_reason_that_is_not_needed_is_no_override(own: Interrupt, reviewer: User) -> None:
    decide(own.pk, reviewer, Choice("accept", override_reason=REASON))
    assert Decision.objects.get().override_reason == ""
    assert not AuditEntry.objects.filter(verb="overridden").exists()


def test_nobody_else_overrides(invoke: Any, work: Any, reviewer: User) -> None:
    task = invoke("email bob@example.com saying hello", user="rita")
    work()
    with pytest.raises(NotAllowed):
        decide(open_review(task).pk, reviewer, Choice("accept", override_reason=REASON))


def test_a_superuser_who_is_in_no_such_group_overrides_nothing(own: Interrupt, root: User) -> None:
    text = own.verdict_text.replace('"reviewers"', '"group:Finance"')
    Interrupt.objects.update(verdict_text=text)
    with pytest.raises(NotAllowed):
        decide(own.pk, root, Choice("accept", override_reason=REASON))


def test_over_rest(own: Interrupt, root: User) -> None:
    body = {"response_type": "reject", "version": own.version, "override_reason": REASON}
    assert client_of(root).post(f"/reviews/{own.pk}/decide", {**body, "override_reason": None}).status_code == 403
    assert client_of(root).post(f"/reviews/{own.pk}/decide", body).status_code == 200
    assert Decision.objects.get().override_reason == REASON


def test_by_resume(own: Interrupt, root: User) -> None:
    body = {**ids_of(own.task), "response_type": "accept", "override_reason": REASON}
    assert client_of(root).post("/agent/resume", body).status_code == 202
    assert Decision.objects.get().override_reason == REASON


def test_a_reason_has_an_end(own: Interrupt, root: User) -> None:
    with pytest.raises(Invalid):
        decide(own.pk, root, Choice("accept", override_reason="x" * 10_001))


def tiers(call: Call) -> Verdict:
    """What is for two nights or more needs somebody else."""
    return Verdict("review", "tiers", Terms(deciders=(REVIEWERS,), distinct=call.args["nights"] > 1), call.declared)


def test_an_edit_that_needs_somebody_else_needs_the_reason(invoke: Any, work: Any, root: User, settings: Any) -> None:
    settings.AGENTS = {"default": {**settings.AGENTS["default"], "POLICY": f"{__name__}.tiers"}}
    task = invoke("book the Ritz for 1 night", user="root")
    work()
    edit = Choice("edit", {"hotel_name": "Ritz", "nights": 2})
    with pytest.raises(NotAllowed):
        decide(open_review(task).pk, root, edit)
    decide(open_review(task).pk, root, Choice("edit", edit.args, override_reason=REASON))
    assert Decision.objects.get().override_reason == REASON
