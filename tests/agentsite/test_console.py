"""The page of the console: who gets it, and for whom. What its scripts do is in tests/browser/test_console.py."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents import services as work
from agents.api.serializers import WIRE_STATUSES
from agents.models import Interrupt, Session, ToolCall
from agentsite.console.session_texts import texts
from reviews.decisions import services
from tests.support.accounts import grant, pages_of
from tests.support.chinese import english

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/console/"
SCRIPTS = Path(__file__).parents[2] / "agentsite" / "static" / "agentsite" / "console"
USE, ANY = "agents.use_console", "agents.act_for_any_user"


def staff(*rights: str, name: str = "sam") -> Client:
    return pages_of(grant(User.objects.create_user(name, is_staff=True), *rights))


def test_without_the_right_it_is_a_403_and_no_page_links_to_it() -> None:
    client = staff("reviews.decide_review")
    assert client.get(PAGE).status_code == 403
    assert PAGE not in client.get("/admin/").content.decode()


def test_with_the_right_the_first_page_links_to_it() -> None:
    client = staff(USE)
    assert f'href="{PAGE}"' in client.get("/admin/").content.decode()
    assert client.get(PAGE).context["user_id"] == "sam"


def test_who_is_not_staff_is_sent_to_the_login(ann: User) -> None:
    grant(ann, USE)
    assert pages_of(ann).get(PAGE).status_code == 302


def test_somebody_elses_sessions_are_refused() -> None:
    assert staff(USE).get(PAGE, {"user": "ann", "session": "s1"}).status_code == 403


def test_who_acts_for_any_user_may_choose_one() -> None:
    client = staff(USE, ANY)
    page = client.get(PAGE, {"user": "ann", "session": "s1"})
    assert (page.status_code, page.context["user_id"], page.context["session_id"]) == (200, "ann", "s1")
    assert 'id="choose-user"' in page.content.decode()
    assert 'id="choose-user"' not in staff(USE, name="tom").get(PAGE).content.decode()


def test_the_right_to_act_for_anybody_alone_opens_nothing() -> None:
    assert staff(ANY).get(PAGE).status_code == 403


@pytest.mark.parametrize("ids", [{"user": "a b"}, {"session": "../x"}, {"user": "x" * 129}, {"session": "<b>"}])
def test_an_id_that_cannot_exist_is_a_404(ids: dict[str, str]) -> None:
    assert staff(USE, ANY).get(PAGE, ids).status_code == 404


def test_ids_are_read_as_the_api_reads_them() -> None:
    page = staff(USE, ANY).get(PAGE, {"user": "Jose\u0301", "session": "a+b|c@d:e"})
    assert (page.context["user_id"], page.context["session_id"]) == ("Jos\u00e9", "a+b|c@d:e")
    assert "?user=Jos%C3%A9" in page.content.decode()


def test_it_offers_the_agents_of_the_settings(settings: Any) -> None:
    settings.AGENTS = {**settings.AGENTS, "travel": settings.AGENTS["default"]}
    content = staff(USE).get(PAGE).content.decode()
    assert '<option value="travel">' in content


def test_it_has_no_script_or_style_of_its_own() -> None:
    page = staff(USE).get(PAGE)
    content = page.content.decode()
    own = content[content.index('id="console"') :]
    assert [found for found in ("style=", "<style", "onclick", "<script") if found in own] == []
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("rights", "links"), [((USE, ANY), True), ((ANY,), False), ((USE,), False)], ids=["both", "no console", "not hers"]
)
def test_a_sessions_page_links_to_it_for_those_who_may(rights: tuple[str, ...], links: bool) -> None:
    session = Session.objects.create(user_id="ann", session_id="a+b")
    client = staff("agents.view_session", *rights)
    content = client.get(f"/admin/agents/session/{session.pk}/change/").content.decode()
    assert (f"{PAGE}?user=ann&amp;session=a%2Bb" in content) == links


def test_ones_own_session_needs_no_more_than_the_console() -> None:
    session = Session.objects.create(user_id="sam", session_id="s1")
    content = staff("agents.view_session", USE).get(f"/admin/agents/session/{session.pk}/change/").content.decode()
    assert f"{PAGE}?user=sam&amp;session=s1" in content


def test_it_speaks_chinese() -> None:
    page = staff(USE, ANY).get(PAGE, {"session": "1"}, headers={"accept-language": "zh-CN"})
    left = english(page.content.decode(), "sam default enqueue Shift JavaScript")
    assert (left, "控制台" in page.content.decode()) == ([], True)
    assert "正在连接" in page.context["texts"].encode().decode("unicode_escape")


# Texts


def test_the_scripts_find_each_of_their_texts_and_use_all() -> None:
    written = "".join(path.read_text() for path in sorted(SCRIPTS.glob("*.js")))
    used = set(re.findall(r"texts\.(\w+)", written)) | set(re.findall(r'\.text\("(\w+)"\)', written))
    assert used - texts().keys() == set()
    assert {name for name in texts() if "." not in name} - used == {
        "accept",
        "reject",
        "response",
    }  # chosen by their names


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("status", WIRE_STATUSES),
        ("decided", Interrupt.Status.values),
        ("kind", Interrupt.Kind.values),
        ("call", ToolCall.Status.values),
        ("risk", ["low", "medium", "high"]),
        ("type", ["human", "ai", "tool", "system"]),
        ("error", [work.SessionBusy.code, work.QueueFull.code, work.TooManyTasks.code]),
        ("error", [services.AlreadyDecided.code, services.Stale.code, "not_open"]),
    ],
)
def test_each_value_of_the_api_has_a_word(name: str, values: list[str]) -> None:
    assert [value for value in values if f"{name}.{value}" not in texts()] == []
