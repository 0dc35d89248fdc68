"""Decisions on budgets that are used up: who may make them, with which amounts, and what stays of them."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from agents.models import Budget, BudgetExtension, Interrupt, Task
from reviews.models import AuditEntry, Decision
from tests.support.accounts import client_of, grant
from tests.support.budget_rows import budget, question
from tests.support.helpers import again, ids_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rita(reviewer: User) -> APIClient:
    return client_of(reviewer)


@pytest.fixture
def asking(invoke: Any, work: Any) -> Any:
    """A task of ann that has used up its budget."""

    def make(limit: Any = 1, unit: str = "model_calls", **more: Any) -> Task:
        budget(limit, unit, **more)
        task = invoke("multiply 6 by 7")
        work()
        return again(task)

    return make


def decide(client: APIClient, task: Task, response_type: str = "accept", **more: Any) -> Any:
    row = Interrupt.objects.get(task=task, kind="budget")
    body = {"response_type": response_type, "version": 1, **more}
    return client.post(f"/reviews/{row.pk}/decide", body)


BAD: list[Any] = [
    *(
        0,
        -1,
        1.5,
        "1.5",
        True,
        "",
        " ",
        "x",
        "NaN",
        "Infinity",
        "1e99",
        10**30,
        "9" * 5000,
        None,
        [],
        {},
        "\x00",
        "1\u0000",
    ),
]


@pytest.mark.parametrize("amount", BAD)
def test_a_bad_amount_changes_nothing(asking: Any, rita: APIClient, amount: Any) -> None:
    task = asking()
    response = decide(rita, task, args={"amount": amount})
    assert response.status_code == 400, response.content
    assert not Decision.objects.exists()
    assert not BudgetExtension.objects.exists()
    assert (question(task).version, again(task).status) == (1, "interrupted")


@pytest.mark.parametrize("args", [5, "5", [5], {"amount": 5, "limit": 9}, {"limit": 9}, True])
def test_other_arguments_are_refused(asking: Any, rita: APIClient, args: Any) -> None:
    assert decide(rita, asking(), args=args).status_code == 400
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("amount", "stored"), [(5, "5"), ("5", "5"), (5.0, "5"), ("0.25", "0.25"), (0.1, "0.1"), ("1e-9", "0.000000001")]
)
def test_an_amount_of_money_is_kept_exactly(
    asking: Any, rita: APIClient, settings: Any, amount: Any, stored: str
) -> None:
    settings.MODEL_PRICES = '{"demo": {"input": 1000000, "output": 1000000}}'
    task = asking(1, "money")
    response = decide(rita, task, args={"amount": amount})
    assert response.json()["decision"]["args"] == {"amount": stored}
    assert str(BudgetExtension.objects.get().amount.normalize().__format__("f")) == stored


@pytest.mark.parametrize("amount", ["0.0000000001", "1000000001"])
def test_an_amount_of_money_has_borders(asking: Any, rita: APIClient, amount: str) -> None:
    assert decide(rita, asking(1, "money", assumed=1), args={"amount": amount}).status_code == 400


def test_a_repeated_decision_is_the_same_and_another_amount_is_a_conflict(asking: Any, rita: APIClient) -> None:
    task = asking()
    assert decide(rita, task, args={"amount": 5}).status_code == 200
    assert decide(rita, task, args={"amount": "5.0"}).status_code == 200
    assert decide(rita, task, args={"amount": 6}).json()["code"] == "already_decided"
    assert decide(rita, task).json()["code"] == "already_decided"
    assert BudgetExtension.objects.count() == 1


def test_the_requester_sees_it_and_may_not_extend_it(asking: Any, ann: User) -> None:
    task = asking()
    client = client_of(ann)
    shown = client.get(f"/reviews/{question(task).pk}").json()
    assert (shown["kind"], shown["allowed"]) == ("budget", [])
    assert decide(client, task).status_code == 403
    grant(ann, "reviews.decide_review")
    assert decide(client_of(User.objects.get(pk=ann.pk)), task).status_code == 403
    assert not BudgetExtension.objects.exists()


def test_the_requester_may_if_the_budget_says_so(asking: Any, ann: User) -> None:
    task = asking(requester_may_extend=True)
    assert decide(client_of(ann), task).status_code == 200
    assert BudgetExtension.objects.get().by_name == "ann"


def test_an_outsider_does_not_find_it(asking: Any, bob: User) -> None:
    assert decide(client_of(bob), asking()).status_code == 404


def test_only_members_of_the_group_decide(asking: Any, reviewer: User) -> None:
    finance = Group.objects.create(name="Finance")
    task = asking(deciders=finance)
    assert decide(client_of(reviewer), task).status_code == 403
    reviewer.groups.add(finance)
    assert decide(client_of(User.objects.get(pk=reviewer.pk)), task).status_code == 200


@pytest.mark.parametrize("args", [None, "", "  ", 5])
def test_finish_needs_a_text_for_the_model(asking: Any, rita: APIClient, args: Any) -> None:
    assert decide(rita, asking(), "response", args=args).status_code == 400


def test_edit_is_no_decision_on_a_budget(asking: Any, rita: APIClient) -> None:
    assert decide(rita, asking(), "edit", args={"amount": 5}).status_code == 400


def test_resume_has_to_name_it(asking: Any, api: APIClient) -> None:
    task = asking()
    response = api.post("/agent/resume", {**ids_of(task), "response_type": "accept"})
    assert (response.status_code, response.json()["code"]) == (409, "which_interrupt")


def test_everything_is_in_the_audit_log(asking: Any, rita: APIClient) -> None:
    task = asking()
    decide(rita, task, args={"amount": 5})
    entries = AuditEntry.objects.order_by("pk").values_list("verb", "kind", "actor", "object_id", "task")
    key = str(Budget.objects.get().pk)
    assert list(entries) == [
        ("decided", "review", "rita", str(Interrupt.objects.get().pk), task.pk),
        ("budget_extended", "budget", "rita", key, task.pk),
    ]


def test_a_decision_on_a_budget_that_is_gone_lets_the_task_go_on(asking: Any, rita: APIClient, work: Any) -> None:
    task = asking()
    Budget.objects.all().delete()
    assert decide(rita, task).status_code == 200
    work()
    assert again(task).status == "completed"
    assert not BudgetExtension.objects.exists()


def test_a_decision_after_the_task_was_cancelled_is_a_conflict(asking: Any, rita: APIClient, api: Any) -> None:
    task = asking()
    api.post("/agent/cancel", ids_of(task))
    assert decide(rita, task).json()["code"] == "already_decided"
    assert not BudgetExtension.objects.exists()


@pytest.mark.parametrize("extension", [True, False])
def test_a_deleted_task_takes_its_use_with_it(asking: Any, rita: APIClient, api: Any, extension: bool) -> None:
    task = asking()
    if extension:
        decide(rita, task)
    ids = ids_of(task)
    path = f"/agent/task/{ids['user_id']}/{ids['session_id']}/{ids['task_id']}"
    assert api.delete(path).status_code in (200, 204)
    assert not BudgetExtension.objects.exists()
    assert not Budget.objects.get().uses.exists()


def test_extensions_end_where_the_database_does(asking: Any, rita: APIClient) -> None:
    task = asking()
    Budget.objects.get().uses.update(extended=Decimal(9) * 10**9)
    assert decide(rita, task, args={"amount": 10**9}).status_code == 400
    assert not Decision.objects.exists()
    assert decide(rita, task, args={"amount": 1}).status_code == 200
