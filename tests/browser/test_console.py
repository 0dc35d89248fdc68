"""The console in a real browser: what it sends, what it shows of the stream, and what it does when something fails."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from agents.models import Interrupt, Session, Task
from agents.services import delete_session
from agents.state import events
from agents.state.events import NewEvent
from agents.watching import publisher
from agents.watching.hub import hub
from agents.watching.publisher import TextChunk
from reviews.decisions.services import Choice, decide
from tests.browser import axe
from tests.support.accounts import grant
from tests.support.browser import Desk, logged_in
from tests.support.budget_rows import budget
from tests.support.chinese import english
from tests.support.helpers import again
from tests.support.processes import until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EVIL = "<img src=x onerror=document.title=1>\u202eevil"
BOOK, SUM = "book the Ritz for 2 nights", "multiply 6 by 7"


class Console:
    """The console of one user, for ann's sessions."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.page: Any = desk.page

    def open(self, session: str = "s1", user: str = "ann") -> None:
        """Open a session, and wait until its stream is there."""
        self.page.goto(f"{self.desk.url}/admin/console/?user={user}&session={session}")
        if session:
            self.wait("#link", "Connected")

    def say(self, text: str) -> None:
        self.page.fill("#query", text)
        self.page.press("#query", "Enter")

    def wait(self, place: str, text: str) -> None:
        self.page.locator(place, has_text=text).last.wait_for()

    def press(self, name: str) -> None:
        """Press a button of a review by the keyboard, once it counts."""
        found = self.page.get_by_role("button", name=name, exact=True)
        found.wait_for()
        self.desk.later(800)
        found.press("Enter")

    def said(self) -> list[str]:
        return [text.strip() for text in self.page.locator(".said .text").all_inner_texts()]

    def stands(self) -> list[str]:
        return self.page.locator(".task-foot .badge").all_inner_texts()


@pytest.fixture
def root(db: Any) -> User:
    return User.objects.create_superuser("root")


@pytest.fixture(autouse=True)
def _no_stream_is_left(settings: Any, transactional_db: None) -> Iterator[None]:
    """A server with threads notices with its next heartbeat that a browser has gone."""
    settings.STREAM_HEARTBEAT_SECONDS = 0.2
    yield
    until(lambda: hub().count() == 0, seconds=20)


@pytest.fixture
def console(browser: Any, live_server: Any, root: User) -> Iterator[Console]:
    with logged_in(browser, live_server.url, root) as desk:
        yield Console(desk)
        # What the browser says of an answer that is an error is no mistake of the page.
        assert [error for error in desk.errors if "Failed to load resource" not in error] == []


def tell(task: Task, *told: NewEvent) -> None:
    with transaction.atomic():
        events.append(task, told)


def message(text: Any, id_: str = "m1", type_: str = "ai", **more: Any) -> NewEvent:
    return NewEvent("message", {"type": type_, "content": text, "id": id_, **more})


# Sending


def test_a_new_session_is_opened_and_its_answer_comes_in(console: Console, work: Any) -> None:
    console.open(session="")
    console.say(SUM)
    console.wait(".task-foot", "Pending")
    work()
    console.wait(".task-foot", "Completed")
    assert console.said() == [SUM, "[demo model] I would like to use multiply.", "42", "[demo model] multiply: 42"]
    assert console.page.inner_text(".call .state") == "succeeded"
    session = Session.objects.get(user_id="ann")
    assert session.session_id in console.page.url
    assert console.page.get_attribute("#sessions a[aria-current]", "href") in console.page.url
    assert console.page.input_value("#query") == ""


def test_shift_enter_begins_a_line_and_an_empty_message_is_not_sent(console: Console) -> None:
    console.open(session="")
    console.say("   ")
    console.page.fill("#query", "a")
    console.page.press("#query", "Shift+Enter")
    console.page.type("#query", "b")
    assert console.page.input_value("#query") == "a\nb"
    assert not Task.objects.exists()


def test_the_chosen_agent_is_that_of_the_session(console: Console, settings: Any) -> None:
    settings.AGENTS = {**settings.AGENTS, "travel": settings.AGENTS["default"]}
    console.open(session="")
    console.page.select_option("#agent", "travel")
    console.say("hello")
    console.wait(".task-foot", "Pending")
    assert (Session.objects.get().agent, Task.objects.get().agent) == ("travel", "travel")


def test_a_failure_keeps_the_text_and_sending_again_is_the_same_task(console: Console) -> None:
    console.open(session="")
    sent = []

    def lose(route: Any) -> None:
        sent.append(route.fetch())
        route.abort()  # the answer gets lost, after the server has stored the task

    console.page.route("**/agent/invoke", lose, times=1)
    console.say(SUM)
    console.wait("#error", "can't be reached")
    assert (console.page.input_value("#query"), len(sent)) == (SUM, 1)
    console.page.press("#query", "Enter")
    console.wait(".task-foot", "Pending")
    assert Task.objects.count() == 1


# Watching


def test_a_message_grows_in_its_place_and_gives_way_to_the_finished_one(console: Console, invoke: Any) -> None:
    task = invoke("hello")
    console.open()
    console.wait(".said.human", "hello")
    publisher.publish_chunk(task.session_id, TextChunk(task.pk, "m1", 0, "Good mor"))
    console.wait(".said.growing", "Good mor")
    publisher.publish_chunk(task.session_id, TextChunk(task.pk, "m1", 8, "ning <b>"))
    console.wait(".said.growing", "Good morning <b>")
    publisher.publish_chunk(task.session_id, TextChunk(task.pk, "m1", 0, "thinking", "reasoning"))
    console.page.locator(".growing summary").wait_for()
    tell(task, message("Good morning."))
    console.page.locator(".growing").wait_for(state="detached")
    assert console.said() == ["hello", "Good morning."]
    assert console.page.inner_text("#news") == "agent: Good morning."


def test_what_a_run_was_writing_goes_when_another_begins(console: Console, invoke: Any) -> None:
    task = invoke("hello")
    console.open()
    publisher.publish_chunk(task.session_id, TextChunk(task.pk, "m1", 0, "Good mor"))
    console.wait(".growing", "Good mor")
    tell(task, NewEvent("status", {"status": "running"}))
    console.page.locator(".growing").wait_for(state="detached")


def test_a_task_of_another_client_appears_with_its_question(console: Console, invoke: Any, work: Any) -> None:
    invoke(SUM)
    work()
    console.open()
    console.wait(".said", "multiply: 42")
    invoke("hello")
    console.wait(".said.human", "hello")


def test_a_reload_in_mid_run_shows_the_same(console: Console, invoke: Any, work: Any) -> None:
    invoke(SUM)
    invoke(BOOK)
    work()
    console.open()
    console.wait(".review-card", "book_hotel")
    console.wait(".said", "multiply: 42")
    before = (console.said(), console.stands())
    console.page.fill("#query", "half a sentence")
    console.page.reload()
    console.wait(".review-card", "book_hotel")
    console.wait(".said", "multiply: 42")
    assert (console.said(), console.stands(), console.page.input_value("#query")) == (*before, "half a sentence")
    assert before[1] == ["Completed", "Interrupted"]


def test_a_failed_and_a_cancelled_task_say_why(console: Console, invoke: Any) -> None:
    for number, status in enumerate(("error", "cancelled")):
        task = invoke(SUM, task=f"t{number}")
        Task.objects.filter(pk=task.pk).update(status=status, message=f"Why {EVIL}")
    console.open()
    console.wait(".task-foot", "Cancelled Why <img")
    console.wait(".task-foot", "Error Why <img")
    assert console.page.locator("#stop").is_hidden()


def test_a_long_session_begins_with_its_end(console: Console, invoke: Any, settings: Any) -> None:
    settings.TASK_MAX_QUEUED = 100
    for number in range(45):
        task = invoke(f"question {number}", task=f"t{number}")
        said = [{"type": "human", "content": task.query, "id": str(task.pk)}]
        said += [{"type": "ai", "content": f"answer {number} {part}", "id": f"m{number}-{part}"} for part in range(4)]
        Task.objects.filter(pk=task.pk).update(status="completed", result={"messages": said})
    wanted = [text for n in range(45) for text in (f"question {n}", *(f"answer {n} {part}" for part in range(4)))]
    console.open()
    console.wait(".said", "answer 44 3")
    earlier = console.page.get_by_role("button", name="Earlier messages")
    assert console.said() == wanted[25 * 5 :]
    earlier.click()
    console.wait(".said", "question 5")
    console.page.locator("#earlier:not([aria-disabled])").press("Enter")
    console.wait(".said", "question 0")
    assert console.said() == wanted
    assert earlier.is_hidden()


def test_a_lost_connection_is_told_and_comes_back(console: Console, invoke: Any) -> None:
    invoke("hello")
    console.page.route("**/agent/session/*/*/stream*", lambda route: route.abort(), times=1)
    console.page.goto(f"{console.desk.url}/admin/console/?user=ann&session=s1")
    console.wait("#link", "The connection was lost. Connecting again…")
    console.wait("#link", "Connected")
    console.wait(".said.human", "hello")


def test_a_session_that_is_deleted_says_so(console: Console, invoke: Any) -> None:
    invoke("hello")
    console.open()
    delete_session("ann", "s1")
    console.wait("#link", "The session was deleted")


def test_the_usage_is_shown_where_the_status_has_it(console: Console, invoke: Any, work: Any) -> None:
    usage = {"calls": 2, "input_tokens": 1234, "output_tokens": 56, "cost": "0.0012", "currency": "USD"}
    console.page.route("**/agent/status/**", lambda route: route.fulfill(json={**route.fetch().json(), "usage": usage}))
    console.open(session="")
    console.say(SUM)
    console.wait(".task-foot", "Pending")
    work()
    console.wait(".usage", "2 model calls, 1,234 tokens in, 56 tokens out, 0.0012 USD")
    console.page.unroute_all(behavior="wait")


# Stopping and steering


def test_a_status_that_was_read_before_an_event_does_not_undo_it(console: Console, invoke: Any) -> None:
    task = invoke(SUM)

    def answer_late(route: Any) -> None:
        answer = route.fetch()
        tell(task, NewEvent("status", {"status": "running"}))
        console.wait(".task-foot", "Running")
        route.fulfill(response=answer)

    console.page.route("**/agent/status/**", answer_late, times=1)
    console.open()
    console.wait(".task-foot", "Running")
    console.page.wait_for_timeout(300)
    assert console.stands() == ["Running"]


def test_what_was_being_written_when_the_task_was_stopped_says_so(console: Console, invoke: Any) -> None:
    task = invoke(SUM)
    console.open()
    publisher.publish_chunk(task.session_id, TextChunk(task.pk, "m1", 0, "Good mor"))
    console.wait(".growing", "Good mor")
    console.page.get_by_role("button", name="Stop", exact=True).press("Enter")
    console.wait(".said.partial", "not finished")
    assert console.page.evaluate("document.activeElement.id") == "query"


def test_stop_cancels_the_task_that_runs(console: Console, invoke: Any) -> None:
    tasks = [invoke(SUM), invoke("hello")]
    console.open()
    console.page.get_by_role("button", name="Stop", exact=True).click()
    console.wait(".task-foot", "Cancelled")
    assert [again(task).status for task in tasks] == ["cancelled", "pending"]


@pytest.mark.parametrize(("strategy", "statuses"), [("enqueue", "pending queued"), ("interrupt", "cancelled pending")])
def test_a_second_message_follows_the_strategy(console: Console, invoke: Any, strategy: str, statuses: str) -> None:
    invoke(SUM)
    console.open()
    console.page.select_option("#strategy", strategy)
    console.say("hello")
    console.wait(".said.human", "hello")
    assert [one.status for one in Task.objects.order_by("position")] == statuses.split()


def test_a_refusal_is_told_in_words_and_keeps_the_text(console: Console, invoke: Any) -> None:
    invoke(SUM)
    console.open()
    console.page.select_option("#strategy", "reject")
    console.say("hello")
    console.wait("#error", "The session has an unfinished task.")
    assert (console.page.input_value("#query"), Task.objects.count()) == ("hello", 1)


# Reviews


@pytest.fixture
def asked(console: Console, invoke: Any, work: Any) -> Callable[[str], Interrupt]:
    """Open the console at a session whose agent has asked."""

    def ask(query: str) -> Interrupt:
        invoke(query)
        work()
        console.open()
        console.page.locator(".review-card .card-buttons").wait_for()
        return Interrupt.objects.get()

    return ask


def test_an_approval_in_place_runs_the_call(console: Console, asked: Any, work: Any) -> None:
    asked(BOOK)
    assert console.page.inner_text(".call .state") == "waits for a review"
    console.press("Approve")
    console.wait(".card-outcome", "Approved by root")
    assert console.page.evaluate("document.activeElement.textContent") == "May this call run?"
    work()
    console.wait(".task-foot", "Completed")
    assert Interrupt.objects.get().status == "approved"


def test_a_high_risk_is_asked_about_once_more(console: Console, asked: Any) -> None:
    review = asked("email bob@example.com saying hello")
    console.press("Approve")
    console.press("Back")
    assert again_(review).status == "pending"
    console.press("Approve")
    console.press("Yes, approve")
    console.wait(".card-outcome", "Approved by root")


def test_a_double_click_does_not_approve_a_high_risk(console: Console, asked: Any) -> None:
    review = asked("email bob@example.com saying hello")
    console.desk.later(800)
    console.page.get_by_role("button", name="Approve", exact=True).press("Enter")
    console.page.get_by_role("button", name="Yes, approve").press("Enter")
    console.page.wait_for_timeout(200)
    assert again_(review).status == "pending"


def test_an_answer_and_a_reason_are_typed_in_place(console: Console, asked: Any) -> None:
    asked(BOOK)
    console.press("Answer instead")
    console.page.keyboard.type("No need, I have a room.")
    console.desk.later(800)
    console.page.keyboard.press("Control+Enter")
    console.wait(".card-outcome", "Responded by root")
    row = Interrupt.objects.get()
    assert (row.status, "I have a room" in console.page.inner_text(".card-outcome")) == ("responded", True)


def test_a_rejection_needs_no_reason(console: Console, asked: Any) -> None:
    review = asked(BOOK)
    console.press("Reject")
    console.press("Reject")
    console.wait(".card-outcome", "Rejected by root")
    assert again_(review).status == "rejected"


def test_the_first_decision_wins_and_the_second_is_told_whose_it_was(
    console: Console, asked: Any, reviewer: User
) -> None:
    review = asked(BOOK)

    def be_faster(route: Any) -> None:
        decide(review.pk, reviewer, Choice("reject", message="too dear"))
        route.continue_()

    console.page.route("**/decide", be_faster, times=1)
    console.press("Approve")
    console.wait(".review-card [role=alert]", "Somebody else was faster")
    console.wait(".card-outcome", "Rejected by rita")
    assert again_(review).status == "rejected"


def test_a_decision_made_elsewhere_shows(console: Console, asked: Any, reviewer: User) -> None:
    decide(asked(BOOK).pk, reviewer, Choice("reject", message="too dear"))
    console.wait(".card-outcome", "too dear")
    assert console.page.get_by_role("button", name="Approve", exact=True).count() == 0


def test_what_is_being_typed_outlives_news_of_the_task(console: Console, asked: Any) -> None:
    review = asked(BOOK)
    console.press("Answer instead")
    console.page.keyboard.type("half a sen")
    tell(review.task, NewEvent("status", {"status": "running"}))
    console.wait(".task-foot", "Running")
    console.page.wait_for_timeout(300)
    assert console.page.input_value(".card-field textarea") == "half a sen"


def test_a_question_of_the_agent_takes_an_answer_only(console: Console, asked: Any, work: Any, odd_tools: None) -> None:
    review = asked('call ask_twice with {"where": "Italy"}')
    assert review.kind == "question"
    assert console.page.locator(".review-card button").all_inner_texts() == ["Answer"]
    console.press("Answer")
    console.page.keyboard.type("Rome")
    console.press("Answer")
    console.wait(".card-outcome", "Responded by root")
    assert again_(review).answer_message == "Rome"


def test_a_call_in_doubt_has_words_of_its_own(console: Console, asked: Any) -> None:
    Interrupt.objects.filter(pk=asked(BOOK).pk).update(kind="in_doubt")
    console.page.reload()
    console.wait(".review-card h3", "Outcome unknown")
    names = console.page.locator(".review-card button").all_inner_texts()
    assert names == ["Run it again", "Mark as done", "Don't retry"]


def test_everything_is_reached_by_the_tabulator(console: Console, asked: Any) -> None:
    asked(BOOK)
    reached = []
    for _step in range(8):
        console.page.keyboard.press("Shift+Tab")
        reached.append(console.page.evaluate("document.activeElement.innerText"))
    wanted = ["Stop this task", "Open the review, to change the arguments", "Reject", "Answer instead", "Approve"]
    assert [name for name in reached if name in wanted] == wanted


# Who may do what


def test_ones_own_session_with_no_right_to_decide(browser: Any, live_server: Any, invoke: Any, work: Any) -> None:
    """The agent's terms leave an e-mail to others than its requester."""
    invoke("email bob@example.com saying hello", user="sam")
    work()
    sam = grant(User.objects.create_user("sam", is_staff=True), "agents.use_console")
    with logged_in(browser, live_server.url, sam) as desk:
        console = Console(desk)
        console.open(user="sam")
        console.wait(".review-card", "You can't decide this review.")
        assert desk.page.locator(".review-card button").count() == 0
        assert desk.page.locator(".review-card a").count() == 0
        assert console.page.goto(f"{desk.url}/admin/console/?user=ann&session=s1").status == 403


# Hostile texts


def test_what_a_model_or_a_tool_wrote_is_only_ever_text(console: Console, invoke: Any, asked: Any) -> None:
    review = asked(BOOK)
    call = {"name": EVIL, "args": {EVIL: EVIL}, "id": "c1"}
    tell(
        review.task,
        message(EVIL, "m1", tool_calls=[call]),
        message([{"type": "text", "text": EVIL}, {"type": EVIL}], "m2", "tool", name=EVIL, tool_call_id="c1"),
        message(EVIL * 50, "m3", "tool", name="x", tool_call_id="c2"),
        message(None, "m4", EVIL),
        NewEvent("custom", {"value": {EVIL: 1}}),
        NewEvent(
            "interrupt",
            {
                "interrupt_id": EVIL,
                "interrupt_type": EVIL,
                "action_request": {"action": EVIL, "args": EVIL},
                "description": EVIL,
            },
        ),
        NewEvent("status", {"status": EVIL, "message": EVIL}),
    )
    console.wait(".task-foot", "evil")
    publisher.publish_chunk(review.task.session_id, TextChunk(review.task_id, "m9", 0, EVIL))
    console.wait(".growing", "evil")
    assert console.page.locator(".console-main img").count() == 0
    assert console.page.title().endswith("| Agentsite")
    assert "\u202e" not in console.page.inner_text(".console-talk")
    assert console.page.locator(".console-talk mark.unseen").count() >= 8


# Looks


@pytest.mark.parametrize("look", [("light", 1280), ("dark", 390)], ids=["light-1280", "dark-390"])
def test_axe_finds_nothing(
    console: Console, asked: Any, invoke: Any, look: tuple[str, int], request: pytest.FixtureRequest
) -> None:
    scheme, width = look
    console.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    console.page.set_viewport_size({"width": width, "height": 844})
    review = asked("email bob@example.com saying hello")
    tell(review.task, message("x" * 900, "m9", "tool", tool_call_id="c9", name="search"))
    publisher.publish_chunk(review.task.session_id, TextChunk(review.task_id, "m10", 0, "Good mor"))
    console.wait(".growing", "Good mor")
    name = f"{scheme} {width}"
    assert axe.look_at(console.page, "console", name, request.node) == []
    console.press("Reject")
    assert axe.look_at(console.page, "console, a rejection", name, request.node) == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_speaks_chinese(browser: Any, live_server: Any, root: User, invoke: Any, work: Any) -> None:
    invoke("email bob@example.com saying hello", session="1")
    work()
    Interrupt.objects.update(description="1", args_text='{"to": "1"}')
    invoke("1", session="1")
    with logged_in(browser, live_server.url, root, locale="zh-CN") as desk:
        console = Console(desk)
        desk.page.goto(f"{desk.url}/admin/console/?user=ann&session=1")
        console.wait("#link", "已连接")
        console.wait(".review-card", "高风险")
        desk.later(800)
        desk.page.get_by_role("button", name="拒绝", exact=True).press("Enter")
        desk.page.select_option("#strategy", "reject")
        desk.page.fill("#query", "1")
        desk.page.press("#query", "Enter")
        console.wait("#error", "该会话中有未完成的任务。")
        told = (
            "root ann default send_email bob to demo model I would like use",
            "email subject body hello example com",
        )
        assert english(desk.page.content(), *told, "saying Shift enqueue task t0 t1 JavaScript") == []


def again_(review: Interrupt) -> Interrupt:
    return Interrupt.objects.get(pk=review.pk)


def test_a_budget_is_extended_by_its_limit_where_it_is_asked_about(console: Console, invoke: Any, work: Any) -> None:
    budget(1)
    task = invoke(SUM)
    work()
    console.open()
    console.wait(".review-card", "This task has used 1 of 1 model calls.")
    console.page.locator(".review-card .card-buttons").wait_for()
    assert {"Finish", "Cancel the task"} <= set(console.page.locator(".review-card button").all_inner_texts())
    console.press("Extend by its limit")
    console.wait(".card-outcome", "Approved by root")
    work()
    console.wait(".said", "multiply: 42")
    assert again(task).status == "completed"
