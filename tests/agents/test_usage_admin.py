"""The admin's pages of model calls, a task's usage, and the dashboard's charts: who sees them, and what they say."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agentsite.console.charts import compact
from tests.support.accounts import grant, pages_of
from tests.support.usage_rows import call, open_call

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/agents/modelcall/"


@pytest.fixture
def desk() -> Client:
    """The admin as somebody sees it who may view model calls and tasks."""
    user = User.objects.create_user("mia", is_staff=True)
    return pages_of(grant(user, "agents.view_modelcall", "agents.view_task"))


def text(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return str(response.content.decode())


def test_calls_are_listed_with_what_is_known(desk: Client, invoke: Any) -> None:
    task = invoke("x")
    call(task, model="m\u202eodel", repeats=True)
    row = open_call(user="")
    content = text(desk, LIST)
    assert r"m\u{202e}odel" in content
    assert all(said in content for said in ("0.5 USD", "Yes", "Started", f"/admin/agents/task/{task.pk}/change/"))
    assert "Started" in text(desk, f"{LIST}{row.pk}/change/")


@pytest.mark.parametrize(
    "query", ["?q=ann", "?q=m", "?model=m", "?q=t0", "?p=2", "?started_at__gte=x", "?outcome=started"]
)
def test_no_query_of_the_list_is_an_error(desk: Client, query: str) -> None:
    call()
    assert desk.get(f"{LIST}{query}").status_code in (200, 302, 400)


def test_nobody_changes_them(desk: Client) -> None:
    row = call()
    for path in ("add/", f"{row.pk}/delete/"):
        assert desk.get(f"{LIST}{path}").status_code in (403, 404)
    assert desk.post(f"{LIST}{row.pk}/change/", {"model": "x"}).status_code == 403


def test_a_task_shows_its_usage(desk: Client, invoke: Any) -> None:
    task = invoke("x")
    page = f"/admin/agents/task/{task.pk}/change/"
    call(task, cost=None)
    call(task, repeats=True)
    open_call(task=task)
    assert (
        "3 calls · 20 tokens of input, 4 of output · 0.5 USD · repeated: 1 · not known: 1 · without a price: 1"
        in text(desk, page)
    )


def test_without_the_right_nothing_of_it_is_shown(invoke: Any) -> None:
    client = pages_of(grant(User.objects.create_user("tom", is_staff=True), "agents.view_task"))
    task = invoke("x")
    row = call(task)
    assert "sage of models" not in text(client, f"/admin/agents/task/{task.pk}/change/")
    assert "Tokens per day" not in text(client, "/admin/")
    assert client.get(LIST).status_code == client.get(f"{LIST}{row.pk}/change/").status_code == 403


def test_the_dashboard_draws_tokens_and_cost(desk: Client) -> None:
    call(input_tokens=1_200_000)
    call(cost=None)
    panels = {panel.title: panel for panel in desk.get("/admin/").context["panels"]}
    assert ">1.2M</text>" in panels["Tokens per day"].chart
    assert panels["Tokens per day"].note == "2 calls in the last 14 days (UTC)"
    assert panels["Cost per day"].note == "0.50 USD in the last 14 days; calls of unknown cost: 1"


def test_without_prices_there_is_no_chart_of_costs(desk: Client) -> None:
    call(cost=None)
    assert "Cost per day" not in text(desk, "/admin/")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        *((0, "0"), (7, "7"), (0.5, "0.50"), (0.001, "<0.01"), (99.5, "99.50"), (950, "950"), (1200, "1.2k")),
        *((12_345, "12k"), (999_999, "1000k"), (1_250_000, "1.2M"), (3.4e9, "3.4G"), (5e13, "50T")),
    ],
)
def test_numbers_fit_over_their_columns(number: float, shown: str) -> None:
    assert compact(number) == shown
    assert len(shown) <= 5
