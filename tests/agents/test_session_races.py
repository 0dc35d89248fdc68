"""Requests about one session at the same moment: each answers in the words of the contract, whoever is first."""

import itertools
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.checkpoints import tables
from agents.models import Interrupt, Session, Task, ToolCall
from agents.policy import REQUESTER, REVIEWERS, Terms, Verdict
from agents.state import interrupts, tasks
from reviews.models import Decision
from tests.support.accounts import client_of
from tests.support.concurrency import in_threads
from tests.support.helpers import again, ids_of, open_review, path_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("no_checkpoints")]

ROUNDS = int(os.environ.get("RACE_ROUNDS", "10"))  # of each race; more find what is rare
BOOK = "book the Ritz for 2 nights"
ARGS = '{"hotel_name":"Ritz","nights":2}'
VERDICT = Verdict("review", "test", Terms(deciders=(REQUESTER, REVIEWERS))).to_text()

# What the contract has for each request: status and, of an error, its code.
WORDS: dict[str, set[tuple[int, str]]] = {
    "cancel": {(202, ""), (200, ""), (404, "not_found")},
    "delete task": {(200, ""), (404, "not_found")},
    "delete session": {(200, ""), (404, "not_found")},
    "accept": {(200, ""), (404, "not_found"), (409, "already_decided")},
    "reject": {(200, ""), (404, "not_found"), (409, "already_decided")},
    "resume": {(202, ""), (404, "not_found"), (409, "already_decided")},
    "claim": {(200, ""), (404, "not_found"), (409, "claimed"), (409, "not_open")},
    "invoke": {(202, "")},
    "invoke by key": {(202, "")},
    "open": {(200, ""), (201, "")},
    "status": {(200, ""), (404, "not_found")},
    "read": {(200, ""), (404, "not_found")},
}


class Requests:
    """The requests about one session with a task that waits for a person."""

    def __init__(self, task: Task, service: User, reviewer: User) -> None:
        self.task = task
        self.service = service
        self.reviewer = reviewer
        self.review = open_review(task).pk

    def send(self, name: str) -> Any:
        decides = name in ("accept", "reject", "claim")
        client = client_of(self.reviewer if decides else self.service)
        ids = ids_of(self.task)
        named = {key: ids[key] for key in ("user_id", "session_id")}
        match name:
            case "cancel":
                return client.post("/agent/cancel", ids)
            case "delete task":
                return client.delete(path_of(self.task).replace("status", "task"))
            case "delete session":
                return client.delete(f"/agent/session/{ids['user_id']}/{ids['session_id']}")
            case "accept" | "reject":
                body = {"response_type": name, "message": "no" if name == "reject" else "", "version": 1}
                return client.post(f"/reviews/{self.review}/decide", body)
            case "resume":
                return client.post("/agent/resume", {**ids, "response_type": "accept"})
            case "claim":
                return client.post(f"/reviews/{self.review}/claim", {})
            case "invoke":
                return client.post("/agent/invoke", {**named, "query": "hello"})
            case "invoke by key":
                key = f"key-{ids['session_id']}"
                return client.post("/agent/invoke", {**named, "query": BOOK}, HTTP_IDEMPOTENCY_KEY=key)
            case "open":
                return client.post("/agent/session", named)
            case "status":
                return client.get(path_of(self.task))
            case "read":
                return client.get(f"/agent/session/{ids['user_id']}/{ids['session_id']}")
        raise AssertionError(name)


def asked_about(task: Task) -> Interrupt:
    """The question that a run's gate would ask, without the run: there are hundreds of them."""
    digest = interrupts.digest_of(task.pk, "book_hotel", ARGS, VERDICT)
    fields = {"args_text": ARGS, "verdict_text": VERDICT, "args_digest": digest, "tool": "book_hotel"}
    return Interrupt(task=task, kind="tool_call", message_id="m", tool_call_id="c", graph_id="g", **fields)


@pytest.fixture
def waiting(service: User, reviewer: User) -> Callable[[], Requests]:
    """A new session whose task, submitted by an Idempotency-Key, waits for a person."""
    count = itertools.count()

    def make() -> Requests:
        session = f"s{next(count)}"
        body = {"user_id": "ann", "session_id": session, "query": BOOK}
        response = client_of(service).post("/agent/invoke", body, HTTP_IDEMPOTENCY_KEY=f"key-{session}")
        assert response.status_code == 202, response.content
        attempt = tasks.claim(Task.objects.get(session__session_id=session).pk, "w")
        assert attempt is not None
        tasks.interrupt(attempt, [asked_about(attempt.task)])
        return Requests(again(attempt.task), service, reviewer)

    return make


def outcome(response: Any) -> tuple[int, str]:
    if isinstance(response, Exception):
        raise response
    return response.status_code, response.json().get("code", "") if response.status_code >= 400 else ""


ENDS = ("cancel", "delete task", "delete session")
PAIRS = [
    *itertools.combinations_with_replacement(ENDS, 2),
    *itertools.product(("accept", "resume"), ENDS),
    ("accept", "reject"),
    ("accept", "resume"),
    ("resume", "resume"),
    *itertools.product(("invoke", "invoke by key", "open", "claim", "status", "read"), ("delete session",)),
    ("invoke by key", "delete task"),
    ("invoke", "cancel"),
    ("claim", "delete task"),
]


@pytest.mark.parametrize("pair", PAIRS, ids=" x ".join)
def test_two_requests_at_once_answer_in_the_words_of_the_contract(
    waiting: Callable[[], Requests], pair: tuple[str, str]
) -> None:
    met: Counter[tuple[tuple[int, str], ...]] = Counter()
    for _ in range(ROUNDS):
        requests = waiting()
        met[tuple(map(outcome, in_threads(2, lambda number, to=requests: to.send(pair[number]))))] += 1  # type: ignore[misc]
    for answers in met:
        for name, answer in zip(pair, answers, strict=True):
            assert answer in WORDS[name], f"{name}: {met}"
    if pair[0] == "accept" and pair[1] == "reject":
        assert all(((200, "") in answers) != (answers[0] == answers[1]) for answers in met), met
    assert_nothing_is_left_over()


def test_all_of_them_at_once(waiting: Callable[[], Requests]) -> None:
    names = ["cancel", "delete task", "accept", "reject", "resume", "delete session", "invoke", "claim"]
    for round_ in range(ROUNDS):
        requests = waiting()
        turn = round_ % len(names)
        order = [*names[turn:], *names[:turn]]
        answers = in_threads(len(names), lambda number, to=requests, order=order: to.send(order[number]))  # type: ignore[misc]
        for name, answer in zip(order, answers, strict=True):
            assert outcome(answer) in WORDS[name], f"{name}: {outcome(answer)}"
    assert_nothing_is_left_over()


def assert_nothing_is_left_over() -> None:
    """No row of a task that is gone, no open question of one that has ended, no session that stands still."""
    assert not list(itertools.chain.from_iterable(tables.orphans()))
    assert not Interrupt.objects.filter(status="pending").exclude(task__status="interrupted").exists()
    assert not ToolCall.objects.filter(task__status="cancelled", status="started").exists()
    assert Decision.objects.count() == Interrupt.objects.filter(answered_at__isnull=False).count()
    for session in Session.objects.filter(tasks__status="queued"):
        assert session.tasks.filter(status__in=("pending", "running", "interrupted")).exists()
    for task in Task.objects.filter(status="interrupted"):
        assert Interrupt.objects.filter(task=again(task), status="pending").exists()
