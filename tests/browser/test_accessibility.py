"""Acceptance check 14 of the desk: axe-core finds nothing serious, and everything can be done by keyboard."""

from pathlib import Path
from typing import Any

import pytest

from agents.models import Interrupt

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
LOOKS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]


def serious(page: Any) -> list[str]:
    """What axe-core calls serious or critical, each with where it is."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.fixture
def waiting(invoke: Any, work: Any) -> list[Interrupt]:
    invoke("email bob@example.com saying hello", session="mail")
    for number in range(3):
        invoke(f"book the Hotel{number} for 2 nights", session=f"s{number}")
    work()
    return list(Interrupt.objects.order_by("created_at"))


@pytest.fixture
def dressed(desk: Any, request: Any) -> Any:
    scheme, width = request.param
    desk.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    desk.page.set_viewport_size({"width": width, "height": 860})
    return desk


looks = pytest.mark.parametrize("dressed", LOOKS, indirect=True, ids=lambda look: f"{look[0]}-{look[1]}")


@looks
def test_14_the_queue(dressed: Any, waiting: list[Interrupt]) -> None:
    dressed.queue()
    dressed.press("j", "x")
    assert serious(dressed.page) == []
    dressed.press("?")
    assert serious(dressed.page) == []


@looks
def test_14_the_page_of_a_review_with_changes_and_an_error(dressed: Any, waiting: list[Interrupt]) -> None:
    dressed.open(waiting[1])
    dressed.page.fill("#id-arg-1", "99")
    dressed.press("Escape", "a")
    dressed.page.wait_for_selector("#error-arg-1")
    dressed.rest()
    dressed.press("r")
    assert serious(dressed.page) == []


@looks
def test_14_the_page_of_a_high_risk_and_of_a_decided_review(dressed: Any, waiting: list[Interrupt]) -> None:
    dressed.open(waiting[0])
    dressed.press("a")
    assert serious(dressed.page) == []
    dressed.press("Enter")
    dressed.done()
    dressed.open(waiting[0])
    assert serious(dressed.page) == []


@looks
def test_14_several_decisions(dressed: Any, waiting: list[Interrupt]) -> None:
    dressed.queue("?tool=book_hotel")
    dressed.press("j", "x")
    dressed.page.get_by_role("button", name="Reject selected").press("Enter")
    dressed.page.wait_for_selector(".bulk-list")
    assert serious(dressed.page) == []


@looks
def test_14_the_dashboard(dressed: Any, waiting: list[Interrupt]) -> None:
    dressed.page.goto(f"{dressed.url}/admin/")
    assert serious(dressed.page) == []


def test_14_axe_does_find_things(desk: Any, waiting: list[Interrupt]) -> None:
    desk.queue()
    desk.page.evaluate("document.querySelector('#searchbar').before(document.createElement('textarea'))")
    assert serious(desk.page) != []


def test_14_the_bar_is_reached_by_the_tabulator(desk: Any, waiting: list[Interrupt]) -> None:
    desk.open(waiting[1])
    desk.page.focus("#id-arg-1")
    reached = []
    for _step in range(12):
        desk.press("Tab")
        reached.append(desk.page.evaluate("document.activeElement.innerText.split('\\n')[0]"))
    for name in ("Approve", "Reject", "Answer instead", "Skip", "Queue"):
        assert name in reached
