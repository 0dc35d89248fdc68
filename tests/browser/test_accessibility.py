"""Acceptance check 14 of the desk: axe-core finds nothing serious, and everything can be done by keyboard."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django_celery_results.models import TaskResult

from agents.models import Interrupt, Pause, WorkerProcess
from agentsite.accounts import create_key, create_second_factor
from memory import services as memories
from memory.models import Memory
from notifications.models import Delivery, Endpoint, Subscription
from reviews.decisions.claims import claim
from reviews.decisions.services import Choice, decide
from reviews.models import PolicyRule
from tests.browser import axe
from tests.support.budget_rows import budget

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOKS = [
    pytest.param(("light", 1280), id="light-1280"),
    *(
        pytest.param(look, id=f"{look[0]}-{look[1]}", marks=pytest.mark.long)
        for look in (("dark", 1280), ("light", 390), ("dark", 390))
    ),
]


@dataclass
class Dressed:
    """The desk in one look."""

    desk: Any
    look: str
    node: pytest.Item

    def serious(self, name: str) -> list[str]:
        return axe.look_at(self.desk.page, name, self.look, self.node)


@pytest.fixture
def waiting(invoke: Any, work: Any) -> list[Interrupt]:
    invoke("email bob@example.com saying hello", session="mail")
    for number in range(3):
        invoke(f"book the Hotel{number} for 2 nights", session=f"s{number}")
    work()
    return list(Interrupt.objects.order_by("created_at"))


@pytest.fixture(params=LOOKS)
def dressed(desk: Any, request: Any) -> Dressed:
    scheme, width = request.param
    desk.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    desk.page.set_viewport_size({"width": width, "height": 860})
    return Dressed(desk, f"{scheme} {width}", request.node)


def test_14_the_queue(dressed: Dressed, waiting: list[Interrupt]) -> None:
    dressed.desk.queue()
    dressed.desk.press("j", "x")
    assert dressed.serious("queue, one selected") == []
    dressed.desk.press("?")
    assert dressed.serious("queue, its help") == []


def test_14_the_page_of_a_review_with_changes_and_an_error(dressed: Dressed, waiting: list[Interrupt]) -> None:
    dressed.desk.open(waiting[1])
    assert dressed.serious("review") == []
    dressed.desk.page.fill("#id-arg-1", "99")
    dressed.desk.press("Escape", "a")
    dressed.desk.page.wait_for_selector("#error-arg-1")
    dressed.desk.rest()
    dressed.desk.press("r")
    assert dressed.serious("review, changes and an error") == []


def test_14_the_page_of_a_high_risk_and_of_a_decided_review(dressed: Dressed, waiting: list[Interrupt]) -> None:
    dressed.desk.open(waiting[0])
    dressed.desk.press("a")
    assert dressed.serious("review, high risk asked again") == []
    dressed.desk.press("Enter")
    dressed.desk.done()
    dressed.desk.open(waiting[0])
    assert dressed.serious("review, decided") == []


def test_14_several_decisions(dressed: Dressed, waiting: list[Interrupt]) -> None:
    dressed.desk.queue("?tool=book_hotel")
    dressed.desk.press("j", "x")
    dressed.desk.page.get_by_role("button", name="Reject selected").press("Enter")
    dressed.desk.page.wait_for_selector(".bulk-list")
    assert dressed.serious("several decisions") == []


@pytest.mark.long
def test_14_the_pages_around_it(dressed: Dressed, waiting: list[Interrupt], everything: None) -> None:
    found = []
    for name, address in addresses():
        answer = dressed.desk.page.goto(dressed.desk.url + address)
        assert answer.ok, address
        found += [f"{name}: {error}" for error in dressed.serious(name)]
    assert not found, "\n".join(found)


@pytest.fixture
def everything(reviewer: User, invoke: Any, work: Any) -> None:
    """A row of every kind that the admin shows, and the right to see it."""
    User.objects.filter(pk=reviewer.pk).update(is_superuser=True)
    budget(1000)
    task = invoke("multiply 6 by 7", session="sums")
    work()
    one, other = Interrupt.objects.filter(tool="book_hotel")[:2]
    claim(other.pk, reviewer)  # an entry of the audit log that has no outcome
    decide(one.pk, reviewer, Choice("reject", message="too dear"))
    memories.add("ann", "likes tea", source=Memory.Source.API, trusted=False)
    PolicyRule.objects.create(name="no mail", effect="deny", tool="send_email")
    create_key(reviewer, "test")
    create_second_factor(reviewer)
    Group.objects.create(name="finance")
    TaskResult.objects.create(task_id="1", status="FAILURE", task_name="agents.jobs.run")
    WorkerProcess.objects.create(name="host:1")
    Pause.objects.create(scope="tool", value="send_email", reason="the mail server moves", by=reviewer, by_name="rita")
    Subscription.objects.create(user=reviewer)
    endpoint = Endpoint.objects.create(name="shop", url="https://shop.example/", active=False)
    Delivery.objects.create(event="task.completed", object_id=task.pk, task=task, endpoint=endpoint, body="{}")


def addresses() -> list[tuple[str, str]]:
    """Of the dashboard, and of the list, a row and the empty form of every kind of row in the admin, by name."""
    pages: list[tuple[str, str]] = [("dashboard", reverse("admin:index"))]
    for model in sorted(admin.site._registry, key=lambda model: model._meta.label_lower):
        kind = f"{model._meta.app_label}_{model._meta.model_name}"
        if kind == "reviews_review":
            continue  # its pages have tests of their own
        row = model._default_manager.order_by("pk").first()
        assert row is not None, kind
        pages.append((f"list: {kind}", reverse(f"admin:{kind}_changelist")))
        pages.append((f"page: {kind}", reverse(f"admin:{kind}_change", args=[row.pk])))
    return [*pages, ("form: reviews_policyrule", reverse("admin:reviews_policyrule_add"))]


def test_14_axe_does_find_things(desk: Any, waiting: list[Interrupt]) -> None:
    desk.queue()
    desk.page.evaluate("document.querySelector('#searchbar').before(document.createElement('textarea'))")
    assert axe.serious(axe.violations(desk.page)) != []


def test_14_the_bar_is_reached_by_the_tabulator(desk: Any, waiting: list[Interrupt]) -> None:
    desk.open(waiting[1])
    desk.page.focus("#id-arg-1")
    reached = []
    for _step in range(12):
        desk.press("Tab")
        reached.append(desk.page.evaluate("document.activeElement.innerText.split('\\n')[0]"))
    for name in ("Approve", "Reject", "Answer instead", "Skip", "Queue"):
        assert name in reached
