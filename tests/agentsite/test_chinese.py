"""Acceptance check 15 of the desk: whoever has chosen Simplified Chinese sees no English string of the interface.

What the model, its tools and the tests' users say is data: it is made Chinese first, or is named in DATA.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client
from django_celery_results.models import TaskResult
from django_otp.plugins.otp_totp.models import TOTPDevice

from agents.models import DayUsage, Interrupt, ModelCall, Pause, Task, ToolCall, WorkerProcess
from agents.policy import Terms, Verdict
from agentsite.accounts import create_key, create_second_factor
from agentsite.console import dashboard
from core.models import ApiKey
from memory import services as memories
from memory.models import Memory
from notifications.models import Delivery, Endpoint, Subscription
from notifications.transports.webhook import GONE_NOTE
from reviews.decisions import claims, services
from reviews.models import PolicyRule
from reviews.policy.conditions import OPERATORS
from tests.conftest import empty_tables
from tests.support import kept_rows
from tests.support.accounts import grant
from tests.support.budget_rows import budget
from tests.support.chinese import english

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "/admin/reviews/review/"
RULES = "/admin/reviews/policyrule/"
CHINESE = {"accept-language": "zh-CN,zh;q=0.9"}
DATA: tuple[str, ...] = (
    "book_hotel",
    "send_email",
    "hotel_name nights",
    "to subject body",
    "One e-mail address",
    "rita ann root mail",
)
DATA += ("service default", "vm", "Authenticator", "Backup codes", "<Task: (FAILURE)>", "Ritz")
DATA += ("Gone https Webhook webhook WEBHOOK_ALLOW_NETWORKS MODEL_CURRENCY review.new",)
DATA += ("amount content null address.city md", *OPERATORS)
ANSWERS = ("approved", "edited", "rejected", "expired", "open")


STORY = kept_rows.Kept()


@pytest.fixture
def story(request: pytest.FixtureRequest, transactional_db: None) -> dict[str, Interrupt]:
    """A review in each of its states."""
    made = STORY.made_by(lambda: make_story(request.getfixturevalue("invoke"), request.getfixturevalue("work")))
    return {name: Interrupt.objects.get(pk=pk) for name, pk in made.items()}


@pytest.fixture
def reviewer(request: pytest.FixtureRequest, transactional_db: None) -> User:
    """Rita, who is in the story if there is one."""
    if "story" in request.fixturenames:
        request.getfixturevalue("story")
        return User.objects.get(username="rita")
    return make_rita()


def make_rita() -> User:
    return grant(User.objects.create_user("rita", is_staff=True), "reviews.decide_review", "reviews.view_review")


def make_story(invoke: Any, work: Any) -> dict[str, Any]:
    """Make the reviews by real runs, and return their ids."""
    reviewer = make_rita()
    for number in range(len(ANSWERS)):
        invoke("book the Ritz for 2 nights", session=f"s{number}")
    invoke("email bob@example.com saying hello", session="mail")
    work()
    *bookings, mail = Interrupt.objects.order_by("created_at")
    rows = dict(zip(ANSWERS, bookings, strict=True))
    services.decide(rows["approved"].pk, reviewer, services.Choice("accept"))
    services.decide(rows["edited"].pk, reviewer, services.Choice("edit", {"hotel_name": "丽思", "nights": 3}))
    services.decide(rows["rejected"].pk, reviewer, services.Choice("reject", message="太贵"))
    Interrupt.objects.filter(pk=rows["expired"].pk).update(expires_at="2020-01-01T00:00:00Z")
    services.expire()
    work()
    _make_the_data_chinese()
    Task.objects.filter(pk=rows["rejected"].task_id).update(status="error", message="模型不可用")
    Interrupt.objects.filter(pk=mail.pk).update(args_text='{"to": "1", "subject": "1", "body": "1"}')
    return {name: row.pk for name, row in {**rows, "mail": mail}.items()}


def _make_the_data_chinese() -> None:
    Task.objects.update(query="订酒店")
    for task in Task.objects.exclude(result=None):
        said = [{**one, "content": "好"} for one in (task.result or {})["messages"]]
        Task.objects.filter(pk=task.pk).update(result={"messages": said})
    booked = '{"hotel_name": "丽思", "nights": 2}'
    ToolCall.objects.update(result_text='{"content": "好"}', args_text=booked)
    Interrupt.objects.update(description="预览", said="想订酒店", args_text=booked)


@pytest.fixture
def everything(story: Any, reviewer: User) -> None:
    """A row of every kind that the admin shows."""
    create_second_factor(reviewer)
    create_key(reviewer, "1")
    ApiKey.objects.update(prefix="1")
    memories.add("ann", "喜欢安静", source=Memory.Source.API, trusted=False)
    Group.objects.create(name="1")
    texts = dict.fromkeys(("task_name", "worker", "task_args", "task_kwargs", "result", "traceback", "meta"), "1")
    TaskResult.objects.create(task_id="1", status="FAILURE", content_type="1", content_encoding="1", **texts)
    PolicyRule.objects.create(name="1", effect="deny")
    budget(1000, name="1")
    ModelCall.objects.update(model="1")
    DayUsage.objects.update(model="1")
    cache.clear()  # names of models that an earlier test has shown
    WorkerProcess.objects.create(name="1")
    Pause.objects.create(scope="tool", value="1", reason="邮件服务器搬家", by=reviewer, by_name="rita")
    endpoint = Endpoint.objects.create(name="1", url="https://1.example/", active=False, note=GONE_NOTE)
    Endpoint.objects.update(secret="1")
    Subscription.objects.create(user=reviewer)
    Delivery.objects.create(
        event="review.new", object_id=story["open"].pk, task=story["open"].task, endpoint=endpoint, body="{}"
    )


@pytest.fixture
def desk(request: pytest.FixtureRequest, transactional_db: None) -> Client:
    """The admin as a superuser sees it whose browser asks for Chinese. Who reads a story comes after it."""
    if "story" in request.fixturenames:
        request.getfixturevalue("story")
    client = Client(headers=CHINESE)
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def seen(answer: Any, status: int = 200) -> list[str]:
    """The English of an answer; one that leads elsewhere has no page."""
    assert answer.status_code == status, (answer.status_code, answer.content[:300])
    return english(answer.content.decode(), *DATA)


def walked(client: Client, paths: list[str]) -> dict[str, list[str]]:
    """The English of these pages, by their paths: empty where there is none."""
    found = {path: seen(client.get(path)) for path in paths}
    return {path: texts for path, texts in found.items() if texts}


def pages_of(client: Client, model: Any, model_admin: Any) -> Iterator[str]:
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    row = model.objects.first()
    assert row is not None, f"the story has no {model}"
    yield from (base, f"{base}?q=nothing", f"{base}{row.pk}/change/", f"{base}{row.pk}/history/")
    # Which of the others there are, their status says.
    yield from (path for path in (f"{base}add/", f"{base}{row.pk}/delete/") if client.get(path).status_code == 200)


def test_the_story_is_put_back_as_it_was_made(story: Any) -> None:
    empty_tables()
    assert kept_rows.rows() == []
    STORY.made_by(lambda: pytest.fail("it is made once"))
    assert kept_rows.rows() == STORY.rows
    assert {"auth.user", "agents.interrupt", "reviews.decision"} <= {row["model"] for row in kept_rows.rows()}


@pytest.mark.long
def test_15_every_list_form_and_history_of_the_admin(desk: Client, everything: None) -> None:
    assert ApiKey.objects.exists()
    User.objects.get(username="service").user_permissions.clear()  # Django can't name the rows that link the two
    paths = [path for model, shown in admin.site._registry.items() for path in pages_of(desk, model, shown)]
    assert len(paths) > 60
    assert walked(desk, paths) == {}


def test_15_the_overview_and_what_is_reached_from_everywhere(desk: Client, everything: None) -> None:
    apps = [f"/admin/{label}/" for label in {model._meta.app_label for model in admin.site._registry}]
    assert walked(desk, ["/admin/", *apps, "/admin/password_change/"]) == {}
    zones = english(desk.get("/admin/preferences/").content.decode(), *DATA, left_out=("id_time_zone",))
    assert zones == []
    assert seen(desk.post("/admin/logout/")) == []


def test_15_the_queue_in_each_of_its_tabs(desk: Client, story: Any) -> None:
    tabs = ("", "mine", "high", "overdue", "doubt", "decided", "all")
    assert walked(desk, [f"{QUEUE}?status={tab}" for tab in tabs]) == {}
    assert english(desk.get(f"{QUEUE}rows/").json()["rows"], *DATA) == []


def page_of(review: Interrupt) -> str:
    return f"{QUEUE}{review.pk}/change/"


def test_15_a_review_in_each_of_its_states(desk: Client, story: dict[str, Interrupt]) -> None:
    assert walked(desk, [page_of(row) for row in story.values()]) == {}


@pytest.mark.parametrize("kind", ["in_doubt", "question"])
def test_15_a_review_of_another_kind(desk: Client, story: dict[str, Interrupt], kind: str) -> None:
    rule = "the graph asks" if kind == "question" else "#1: 1 (unclear)"
    Interrupt.objects.filter(pk=story["open"].pk).update(kind=kind, verdict_text=Verdict("review", rule).to_text())
    assert walked(desk, [page_of(story["open"]), f"{QUEUE}?status=all"]) == {}


def test_15_a_review_that_the_reader_may_not_decide(desk: Client, story: dict[str, Interrupt]) -> None:
    barred = Verdict("review", "declared by the tool", Terms(deciders=("group:Finance",))).to_text()
    Interrupt.objects.filter(pk=story["open"].pk).update(verdict_text=barred)
    assert walked(desk, [page_of(story["open"])]) == {}


def test_15_a_request_of_ones_own_and_one_that_is_looked_at(
    desk: Client, story: dict[str, Interrupt], reviewer: User
) -> None:
    own = Verdict("review", "declared by the tool", Terms(distinct=True)).to_text()
    Interrupt.objects.filter(pk=story["open"].pk).update(verdict_text=own)
    Task.objects.filter(pk=story["open"].task_id).update(submitted_by=User.objects.get(username="root"))
    claims.claim(story["mail"].pk, reviewer)
    assert walked(desk, [page_of(story["open"]), page_of(story["mail"]), QUEUE]) == {}
    assert "您是超级用户" in desk.get(page_of(story["open"])).content.decode()
    assert "接管" in desk.get(page_of(story["mail"])).content.decode()
    assert seen(decided(desk, story["open"], "accept")) == []


def test_15_what_is_always_allowed(desk: Client, story: dict[str, Interrupt]) -> None:
    page, address = page_of(story["approved"]), f"{QUEUE}{story['approved'].pk}/always/"
    assert "始终允许这一调用" in desk.get(page).content.decode()
    assert seen(desk.post(address, {"scope": "x", "days": "99", "uses": "0"}, follow=True)) == []
    assert seen(desk.post(address, {"scope": "user", "days": "1", "uses": "1"}, follow=True)) == []
    assert PolicyRule.objects.get().name == "始终允许 book_hotel（ann）"
    assert walked(desk, [page, f"{RULES}{PolicyRule.objects.get().pk}/change/"]) == {}


def decided(desk: Client, review: Interrupt, kind: str, **more: Any) -> Any:
    body = {"response_type": kind, "version": review.version, "digest": review.args_digest, **more}
    return desk.post(page_of(review), body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("reject", {}),
        ("response", {}),
        ("reject", {"message": "1" * 10_001}),
        ("preview", {"arg-1": "9"}),
        ("accept", {"arg-1": "many"}),
        ("accept", {"arg-1": "-1"}),
        ("accept", {"version": "9"}),
        ("nothing", {}),
    ],
)
def test_15_what_is_not_accepted(
    desk: Client, story: dict[str, Interrupt], settings: Any, kind: str, body: Any
) -> None:
    settings.PREVIEW_SECONDS = 0  # a tool's own words are not translated
    assert seen(decided(desk, story["open"], kind, **body)) == []


def test_15_a_high_risk_asks_once_more(desk: Client, story: dict[str, Interrupt]) -> None:
    assert seen(decided(desk, story["mail"], "accept")) == []


def test_15_somebody_was_faster(desk: Client, story: dict[str, Interrupt]) -> None:
    assert seen(decided(desk, story["approved"], "reject", message="不")) == []


def test_15_what_is_said_after_a_decision(desk: Client, story: dict[str, Interrupt]) -> None:
    assert decided(desk, story["open"], "reject", message="不").status_code == 302
    assert walked(desk, [QUEUE]) == {}
    assert "已拒绝" in desk.get(page_of(story["open"])).content.decode()


def test_15_several_at_once(desk: Client, story: dict[str, Interrupt]) -> None:
    open_, mail = story["open"], story["mail"]
    for action in ("approve_selected", "reject_selected"):
        for rows in ([open_], [open_, mail], [mail], [story["expired"]]):
            body = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
            assert seen(desk.post(f"{QUEUE}?status=all", body, follow=True)) == []
    row = f"{open_.pk}:{open_.version}:{open_.args_digest}"
    assert seen(desk.post(f"{QUEUE}bulk/", {"kind": "reject", "row": row})) == []
    body = {"kind": "reject", "message": "不", "row": [row, row]}
    assert seen(desk.post(f"{QUEUE}bulk/", body, follow=True)) == []


def rule(**changed: Any) -> dict[str, Any]:
    body = {"name": "1", "position": 1, "effect": "allow", "tool": "*", "user": "*", "agent": "*", "risk": "low"}
    return {**body, "deciders": "reviewers", "seconds": 60, "on_expiry": "wait", "allowed": "accept", **changed}


def test_15_a_rule_that_is_tried(desk: Client, story: Any) -> None:
    assert seen(desk.post(f"{RULES}try", rule())) == []


CONDITIONS = ("amount", "amount > x", "a[ is there", "* is there", "a is there 1", "a equals null", "a one of 1")


@pytest.mark.parametrize("conditions", [*CONDITIONS, "a contains 1" + "1" * 10_000, "a contains \x00"])
def test_15_a_rule_with_conditions_that_can_not_be_read(desk: Client, conditions: str) -> None:
    assert seen(desk.post(f"{RULES}add/", rule(conditions=conditions))) == []


def test_15_a_rule_that_is_wrong_throughout(desk: Client) -> None:
    times = {f"{name}_{part}": "x" for name in ("starts_at", "ends_at") for part in (0, 1)}
    body = rule(name="", position="x", effect="x", use_limit="-1", deciders="nobody", seconds=1, allowed=[], **times)
    assert seen(desk.post(f"{RULES}add/", body)) == []
    body = rule(effect="deny", use_limit=1, starts_at_0="2030-01-02", starts_at_1="0:0", ends_at_0="2030-01-01")
    assert seen(desk.post(f"{RULES}add/", {**body, "ends_at_1": "0:0"})) == []
    assert seen(desk.post(f"{RULES}try", body)) == []


def test_15_what_an_action_says(desk: Client, everything: None) -> None:
    for path, action, model in (
        (RULES, "switch_off", PolicyRule),
        ("/admin/agents/task/", "cancel", Task),
        ("/admin/memory/memory/", "approve", Memory),
        ("/admin/memory/memory/", "forget", Memory),
        ("/admin/memory/memory/", "approve", Memory),
        ("/admin/auth/group/", "delete_selected", Group),
    ):
        chosen = model.objects.values_list("pk", flat=True).last()
        assert seen(desk.post(path, {"action": action, "_selected_action": [chosen]}, follow=True)) == []
        assert seen(desk.post(path, {"action": "", "_selected_action": []}, follow=True)) == []


def test_15_what_a_form_says_that_is_saved(desk: Client, reviewer: User) -> None:
    for path, body in (
        ("/admin/core/apikey/add/", {"name": "1", "user": reviewer.pk}),
        ("/admin/memory/memory/add/", {"user_id": "ann", "text": "静", "kind": "fact", "scope": "user"}),
        (f"{RULES}add/", rule()),
        ("/admin/auth/group/add/", {"name": "1"}),
        ("/admin/preferences/", {"time_zone": "UTC"}),
    ):
        page = desk.post(path, body, follow=True)
        assert page.redirect_chain
        key = page.content.decode().split("）：")[-1].split("<")[0]  # a new API key is shown
        assert english(page.content.decode(), *DATA, key, left_out=("id_time_zone",)) == []


def test_15_a_memory_and_an_account_that_can_not_be(desk: Client) -> None:
    body = {"user_id": "a b", "text": " ", "kind": "x", "scope": "user", "scope_ref": "1"}
    assert seen(desk.post("/admin/memory/memory/add/", body)) == []
    body = {"user_id": "ann", "text": "静", "kind": "fact", "scope": "user", "scope_ref": "1"}
    assert seen(desk.post("/admin/memory/memory/add/", body)) == []
    body = {"username": "x y", "password1": "1", "password2": "2", "usable_password": "true"}
    assert seen(desk.post("/admin/auth/user/add/", body)) == []
    assert seen(desk.post("/admin/auth/user/add/", {**body, "username": "x", "password2": "1"})) == []


class TestTheLogin:
    @pytest.fixture(autouse=True)
    def _rita(self, reviewer: User) -> None:
        reviewer.set_password("rita's own")
        reviewer.save()

    def log_in(self, password: str = "rita's own", **more: str) -> Any:
        body = {"username": "rita", "password": password, **more}
        return Client(headers=CHINESE).post("/admin/login/", body)

    def test_15_the_page_and_a_wrong_password(self) -> None:
        assert seen(Client(headers=CHINESE).get("/admin/login/")) == []
        assert seen(self.log_in("wrong")) == []
        assert seen(self.log_in("")) == []

    def test_15_the_code_of_a_device(self, reviewer: User) -> None:
        create_second_factor(reviewer)
        device = TOTPDevice.objects.get().persistent_id
        for more in ({}, {"otp_device": device, "otp_token": "1"}, {"otp_device": device}, {"otp_device": "x"}):
            page = self.log_in(**more).content.decode()
            assert english(page, "rita") == []
            assert "备用验证码" in page

    def test_15_a_second_factor_that_is_missing(self, settings: Any) -> None:
        settings.ADMIN_REQUIRE_OTP = True
        assert seen(self.log_in()) == []

    def test_15_a_login_that_is_locked(self, settings: Any) -> None:
        settings.AXES_ENABLED = True
        pages = [self.log_in("wrong") for _ in range(5)]
        assert seen(pages[-1], 429) == []


class TestErrors:
    def test_15_what_is_not_there_and_what_is_not_allowed(self, desk: Client, story: dict[str, Interrupt]) -> None:
        assert seen(desk.get("/admin/nowhere/"), 404) == []
        assert seen(desk.get(f"{QUEUE}x/next/"), 404) == []
        assert seen(desk.get("/admin/reviews/auditentry/add/"), 403) == []
        assert seen(desk.get(f"{QUEUE}x/change/"), 404) == []

    def test_15_a_form_that_is_too_old_or_too_large(self, reviewer: User) -> None:
        client = Client(enforce_csrf_checks=True, headers=CHINESE)
        client.force_login(reviewer)
        assert seen(client.post(QUEUE, {}), 403) == []
        client = Client(headers=CHINESE)
        client.force_login(reviewer)
        assert seen(client.post(QUEUE, {f"x{number}": "" for number in range(1001)}), 400) == []

    def test_15_an_error_on_our_side_does_not_ask_the_database(self, desk: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr(dashboard, "panels", lambda user: 1 / 0)
        desk.raise_request_exception = False
        page = desk.get("/admin/")
        assert seen(page, 500) == []
        assert "服务端出错" in page.content.decode()


@pytest.mark.parametrize("html", ["<p>Send</p>", '<input type="submit" value="Send">', '<i title="Send">一</i>'])
def test_15_english_is_found_where_there_is_some(html: str) -> None:
    assert english(f"<script>let a</script><p>批准 API</p>{html}") == ["Send"]


def test_15_english_is_what_the_pages_have_without_the_choice(story: dict[str, Interrupt], reviewer: User) -> None:
    client = Client()
    client.force_login(reviewer)
    assert len(seen(client.get(page_of(story["open"])))) > 20
