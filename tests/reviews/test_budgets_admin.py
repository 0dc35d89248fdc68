"""Budgets in the admin: the form, what is shown of their use, and the page of a review about one."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from agents.models import Budget, BudgetExtension
from agentsite import privacy
from reviews.models import AuditEntry
from tests.support.accounts import grant, pages_of
from tests.support.budget_rows import budget, question
from tests.support.helpers import again

pytestmark = pytest.mark.django_db(transaction=True)

LIST, ADD = "/admin/agents/budget/", "/admin/agents/budget/add/"
NASTY = "<img src=x onerror=alert(1)>\u202egnp"
FORM = {
    **{"name": "small", "enabled": "on", "scope": "task", "value": "", "unit": "model_calls", "period": "task"},
    **{"limit": "20", "assumed": "", "warning_share": "80", "breach": "ask"},
}


@pytest.fixture
def operator(db: Any) -> Client:
    rights = [f"agents.{action}_budget" for action in ("add", "change", "delete", "view")]
    return pages_of(grant(User.objects.create_user("olga", is_staff=True), *rights))


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, response
    return str(response.content.decode())


def page_of(row: Any) -> str:
    return f"{LIST}{row.pk}/change/"


def test_the_form_stores_a_budget(operator: Client) -> None:
    finance = Group.objects.create(name="Finance")
    response = operator.post(ADD, {**FORM, "unit": "money", "limit": "2.50", "assumed": "0.1", "deciders": finance.pk})
    assert response.status_code == 302, response.context["form"].errors
    row = Budget.objects.get()
    assert (str(row.limit), str(row.assumed), row.deciders) == ("2.500000000", "0.100000000", finance)
    assert list(AuditEntry.objects.values_list("verb", "actor")) == [("budget_created", "olga")]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        *(({"limit": value}, "limit") for value in ("", "0", "-1", "x", "1.5", "NaN", "1e99", "9" * 39)),
        *(({"unit": "tokens", "assumed": value}, "assumed") for value in ("", "0", "-3", "1.5")),
        ({"scope": "agent", "value": "nobody"}, "value"),
        ({"scope": "user", "value": ""}, "value"),
        ({"scope": "user", "value": "not an id"}, "value"),
        ({"scope": "everything", "value": "x"}, "value"),
        ({"scope": "each_user", "value": "ann"}, "value"),
        ({"scope": "tool"}, "scope"),
        ({"warning_share": "0"}, "warning_share"),
        ({"warning_share": "101"}, "warning_share"),
        ({"name": ""}, "name"),
        ({"deciders": "999"}, "deciders"),
    ],
)
def test_a_wrong_form_stores_nothing(operator: Client, wrong: dict[str, str], field: str) -> None:
    response = operator.post(ADD, {**FORM, **wrong})
    assert response.status_code == 200
    assert list(response.context["adminform"].form.errors) == [field]
    assert not Budget.objects.exists()


def test_what_is_counted_stays_as_it_is(operator: Client) -> None:
    row = budget(5)
    response = operator.post(page_of(row), {**FORM, "scope": "everything", "unit": "money", "limit": "7"})
    assert response.status_code == 302
    row.refresh_from_db()
    assert (row.scope, row.unit, row.limit) == ("task", "model_calls", 7)
    assert AuditEntry.objects.get().verb == "budget_changed"


def test_a_raised_limit_lets_waiting_tasks_go_on_at_once(operator: Client, invoke: Any, work: Any) -> None:
    row = budget(1)
    task = invoke("multiply 6 by 7")
    work()
    operator.post(page_of(row), {**FORM, "limit": "7"})
    work()
    assert again(task).status == "completed"


def test_a_deleted_budget_lets_waiting_tasks_go_on_at_once(operator: Client, invoke: Any, work: Any) -> None:
    row = budget(1)
    task = invoke("multiply 6 by 7")
    work()
    assert operator.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    work()
    assert again(task).status == "completed"
    assert AuditEntry.objects.order_by("pk")[0].verb == "budget_deleted"


def test_the_use_and_the_extensions_are_shown(operator: Client, invoke: Any, work: Any, desk: Client) -> None:
    row = budget(1, name=NASTY, scope="everything", period="day")
    task = invoke("multiply 6 by 7")
    work()
    page = text_of(operator, page_of(row))
    assert "1 model calls of 1 model calls" in page
    assert "<img src=x" not in page
    assert "Used up" in text_of(operator, LIST)
    decide(desk, question(task), amount="9")
    assert "1 model calls of 10 model calls" in text_of(operator, page_of(row))
    assert "9 model calls · rita" in text_of(operator, page_of(row))
    assert "Room left" in text_of(operator, LIST)


@pytest.mark.parametrize("scope", ["each_user", "session", "task"])
def test_each_subject_is_shown_by_its_name(operator: Client, invoke: Any, work: Any, scope: str) -> None:
    row = budget(9, scope=scope, period="day")
    invoke("hello", session="s77", task="t77", user="zoe")
    work()
    name = {"each_user": "zoe", "session": "s77", "task": "t77"}[scope]
    assert f"{name}: 1 model calls of 9 model calls" in text_of(operator, page_of(row))


def test_who_may_only_look_changes_nothing(db: Any) -> None:
    client = pages_of(grant(User.objects.create_user("sam", is_staff=True), "agents.view_budget"))
    row = budget(5)
    assert "small" in text_of(client, LIST)
    assert "5 model calls" in text_of(client, page_of(row))
    assert client.post(page_of(row), FORM).status_code == 403
    assert client.get(ADD).status_code == client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_without_a_right_there_is_no_page(desk: Client) -> None:
    row = budget(5)
    assert {desk.get(path).status_code for path in (LIST, ADD, page_of(row))} == {403}


def review_page(row: Any) -> str:
    return f"/admin/reviews/review/{row.pk}/change/"


def decide(client: Client, row: Any, response_type: str = "accept", **more: str) -> Any:
    body = {"response_type": response_type, "version": row.version, "digest": row.args_digest}
    return client.post(review_page(row), {**body, **more})


@pytest.fixture
def asked(invoke: Any, work: Any) -> Any:
    budget(1, name=NASTY)
    task = invoke("multiply 6 by 7")
    work()
    return question(task)


def test_the_review_shows_what_was_used_and_three_ways_out(desk: Client, asked: Any) -> None:
    page = text_of(desk, review_page(asked))
    for text in ("Budget used up", "Extend", "Finish", "Cancel the task", "1 model calls", 'value="1"'):
        assert text in page
    assert "<img src=x" not in page
    assert "Budget" in text_of(desk, "/admin/reviews/review/")


@pytest.mark.parametrize("amount", ["0", "x", "1.5", "-2"])
def test_a_wrong_amount_is_shown_beside_its_field(desk: Client, asked: Any, amount: str) -> None:
    response = decide(desk, asked, amount=amount)
    assert response.status_code == 200
    assert response.context["form"].errors["amount"]
    assert not BudgetExtension.objects.exists()


def test_extend(desk: Client, asked: Any, work: Any) -> None:
    assert decide(desk, asked, amount=" 3 ").status_code == 302
    assert BudgetExtension.objects.get().amount == 3
    assert "The budget was extended by 3 model calls." in text_of(desk, review_page(asked))
    work()
    assert again(asked.task).status == "completed"


def test_finish(desk: Client, asked: Any, work: Any) -> None:
    assert decide(desk, asked, "response", answer="").context["form"].errors["answer"]
    assert decide(desk, asked, "response", answer="Sum up.").status_code == 302
    work()
    assert again(asked.task).status == "completed"


def test_cancel(desk: Client, asked: Any) -> None:
    assert decide(desk, asked, "reject", message="too expensive").status_code == 302
    assert again(asked.task).status == "cancelled"


def test_an_erased_user_leaves_no_budget(invoke: Any, work: Any) -> None:
    budget(9, scope="each_user", period="day")
    budget(9, scope="user", value="ann", period="day")
    invoke("hello")
    work()
    assert '"budgets"' in "".join(privacy.export("ann"))
    privacy.erase("ann")
    (left,) = Budget.objects.all()
    assert not left.uses.exists()
