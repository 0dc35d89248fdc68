"""The admin's first page: figures, charts, and who sees which."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents.models import Interrupt, Task
from agentsite.console.charts import Bar, bars, columns
from reviews.decisions.services import Choice, decide
from tests.support.accounts import grant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(reviewer: User) -> Client:
    grant(reviewer, "agents.view_task")
    client = Client()
    client.force_login(reviewer)
    return client


@pytest.fixture
def story(invoke: Any, work: Any, reviewer: User) -> None:
    """One approved with changes, one rejected, one open, and a task that failed."""
    for number in range(3):
        invoke("book the Ritz for 2 nights", session=f"s{number}")
    work()
    one, two, _three = Interrupt.objects.order_by("created_at")
    decide(one.pk, reviewer, Choice("edit", {"hotel_name": "Savoy", "nights": 2}))
    decide(two.pk, reviewer, Choice("reject", message="no"))
    Task.objects.filter(pk=two.task_id).update(status="error", message="The model\u202e is away.")


def panels(client: Client) -> dict[str, Any]:
    return {panel.title: panel for panel in client.get("/admin/").context["panels"]}


def test_the_figures_of_the_reviews(desk: Client, story: None) -> None:
    shown = panels(desk)
    assert shown["Pending by age"].note == "1 pending, 0 of them overdue"
    assert shown["Decisions per day"].note == "2 today, 2 in the last 14 days"
    assert "50 % / 50 %" in shown["Approval and edit rate by tool"].chart


def test_old_and_overdue_ones_stand_out(desk: Client, story: None) -> None:
    Interrupt.objects.filter(status="pending").update(
        created_at="2020-01-01T00:00:00Z", expires_at="2020-01-08T00:00:00Z"
    )
    panel = panels(desk)["Pending by age"]
    assert panel.note == "1 pending, 1 of them overdue"
    assert 'class="part bad"' in panel.chart


def test_tasks_by_status_and_the_last_errors(desk: Client, story: None) -> None:
    content = desk.get("/admin/").content.decode()
    assert r"The model\u{202e} is away." in content
    assert "Tasks by status" in content


def test_an_empty_service_has_an_empty_dashboard(desk: Client) -> None:
    assert panels(desk)["Approval and edit rate by tool"].note == "No decisions in the last 30 days"


def test_everybody_sees_what_they_may_see(story: None) -> None:
    client = Client()
    client.force_login(grant(User.objects.create_user("tim", is_staff=True), "agents.view_task"))
    assert list(panels(client)) == ["Tasks by status"]
    client.force_login(grant(User.objects.create_user("vic", is_staff=True), "reviews.view_review"))
    assert "Tasks by status" not in panels(client)
    client.force_login(User.objects.create_user("stan", is_staff=True))
    response = client.get("/admin/")
    assert response.context["panels"] == []
    assert "is away" not in response.content.decode()


def test_the_queries_do_not_grow(desk: Client, story: None, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(16):
        desk.get("/admin/")


def test_a_chart_marks_and_escapes_what_others_wrote() -> None:
    chart = bars("Tools", [Bar("<b>\u202e", [("accept", 2), ("edit", 0)], "100 %")])
    assert r"&lt;b&gt;\u{202e}" in chart
    assert "style=" not in chart
    assert chart.count("<rect") == 1


def test_a_chart_of_nothing_is_empty_and_the_highest_column_is_the_highest() -> None:
    assert "<rect" not in columns("Days", [])
    chart = columns("Days", [("1", "1 May", 2), ("2", "2 May", 4)])
    assert chart.count('height="112.0"') == 1
    assert chart.count('height="56.0"') == 1
