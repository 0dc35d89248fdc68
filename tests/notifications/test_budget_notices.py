"""A budget that is nearly used up is announced once in its period, to those who may see budgets."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail

from notifications.delivery import deliver_due
from notifications.models import Delivery
from tests.support.accounts import grant
from tests.support.budget_rows import budget
from tests.support.receiver import events, subscribed

pytestmark = pytest.mark.django_db(transaction=True)

NEARLY = "budget.nearly_used"


@pytest.fixture
def told(endpoint: Any, invoke: Any, work: Any) -> Any:
    """What was announced of a budget of ten calls a day after so many tasks with two calls each."""

    def run(count: int, **more: Any) -> list[str]:
        made = budget(10, scope="everything", period="day", name="All\nBcc: eve@example.com", **more)
        made.refresh_from_db()
        for number in range(count):
            invoke("multiply 6 by 7", session=f"s{number}")
        work()
        return [one for one in events() if one == NEARLY]

    return run


def test_it_is_announced_once(told: Any) -> None:
    assert told(5) == [NEARLY]
    data = Delivery.objects.get(event=NEARLY).data
    assert (data["used"], data["limit"], data["unit"], data["user_id"]) == ("8", "10", "model_calls", "ann")
    assert data["url"].endswith(f"/admin/agents/budget/{data['budget_id']}/change/")
    assert "description" not in json.dumps(data)


def test_not_before_its_share(told: Any) -> None:
    assert told(4) == []


def test_the_share_is_the_budgets(told: Any) -> None:
    assert told(2, warning_share=20) == [NEARLY]


def test_only_staff_who_may_see_budgets_get_a_mail(told: Any, bob: User) -> None:
    subscribed(grant(User.objects.create_user("olga", is_staff=True), "agents.view_budget"), NEARLY)
    subscribed(bob, NEARLY)
    told(5)
    mail.outbox = []
    deliver_due()
    (message,) = mail.outbox
    assert message.to == ["olga@example.com"]
    assert "8 / 10 Model calls" in message.body
    assert "Budget: All Bcc" in message.body
