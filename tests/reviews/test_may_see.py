"""One set of reviews for each reader: REST, lists, counts, search, filters and trials show what they may see."""

import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import cache as caches
from django.db import connection, transaction
from django.utils import timezone

from agents.models import Interrupt, Session, Task, ToolCall
from agents.policy import Terms, Verdict
from agentsite.console import dashboard
from core.auth.principals import may_act_for
from reviews.console import page
from reviews.decisions import bulk, permissions
from reviews.models import Decision, PolicyRule, Review
from reviews.policy import dry_run
from tests.support.accounts import client_of, grant, pages_of

pytestmark = pytest.mark.django_db

QUEUE = "/admin/reviews/review/"
ODD = 'Fi"n,ance[\\ 会计'  # a group whose name would break a pattern
DECIDERS = [
    *(("reviewers",), ("requester",), ("requester", "reviewers"), ("group:Finance",), ("group:finance",)),
    *(("requester", "group:Finance"), (f"group:{ODD}",), ("group:Nobody", f"group:{ODD}", "group:Finance2")),
]
RIGHTS = {
    "decider": ("reviews.decide_review",),
    "viewer": ("reviews.view_review",),
    "financier": ("reviews.decide_review",),
    "oddfellow": ("reviews.decide_review",),
    "ann": ("reviews.decide_review",),
    "submitter": ("reviews.decide_review",),
    "group_only": (),
    "service": ("agents.act_for_any_user",),
    "both": ("reviews.decide_review", "agents.act_for_any_user"),
    "bob": (),
}
GROUPS = {"financier": "Finance", "oddfellow": ODD, "group_only": "Finance"}
READERS = [*RIGHTS, "root"]
AT_THE_DESK = [name for name in READERS if name == "root" or any("review" in right for right in RIGHTS[name])]


@pytest.fixture(scope="module")
def _one_world(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The people and the reviews, once for all tests of this module: each undoes what it changes."""
    with django_db_blocker.unblock():
        block = transaction.atomic()
        block._from_testcase = True  # type: ignore[attr-defined]  # as Django's own tests: what is durable may be within
        with block:
            make_reviews(make_people())
            yield
            transaction.set_rollback(True)
    may_see.cache_clear()


@pytest.fixture(autouse=True)
def _empty_cache(_one_world: None) -> None:
    caches.cache.clear()


def make_people() -> dict[str, User]:
    found = {name: grant(User.objects.create_user(name, is_staff=True), *names) for name, names in RIGHTS.items()}
    for name, group in GROUPS.items():
        found[name].groups.add(Group.objects.get_or_create(name=group)[0])
    return found | {"root": User.objects.create_superuser("root")}


@pytest.fixture
def people(db: Any) -> dict[str, User]:
    return {user.username: user for user in User.objects.filter(username__in=READERS)}


@pytest.fixture
def world(db: Any) -> list[Review]:
    return list(Review.objects.select_related("task__session"))


def make_reviews(people: dict[str, User]) -> None:
    """Make a pending and a decided review of each kind of terms, owner and submitter."""
    sessions, tasks, rows = [], [], []
    whose = [("ann", None), ("bob", people["submitter"]), ("carl", None)]
    for number, (deciders, distinct, (owner, by)) in enumerate(itertools.product(DECIDERS, (False, True), whose)):
        session = Session(user_id=owner, session_id=f"s{number}")
        verdict = Verdict("review", "test", Terms(deciders=deciders, distinct=distinct)).to_text()
        sessions.append(session)
        for position, (status, state) in enumerate((("pending", "interrupted"), ("approved", "completed")), start=1):
            ids = {"task_id": f"t{number}{status}", "user_id": owner, "position": position}
            task = Task(session=session, query="x", status=state, submitted_by=by, **ids)
            key = {"message_id": "m", "tool_call_id": "c", "graph_id": "g", "tool": f"tool{number}", "risk": "high"}
            said = {"args_text": f'{{"iban": "DE{number:04}"}}', "verdict_text": verdict, "status": status}
            times = {"expires_at": timezone.now(), "answered_at": timezone.now() if status == "approved" else None}
            tasks.append(task)
            rows.append(Review(task=task, kind="tool_call", **key, **said, **times))
    Session.objects.bulk_create(sessions)
    Task.objects.bulk_create(tasks)
    Review.objects.bulk_create(rows)
    decided = [row for row in rows if row.status == "approved"]
    of_call = {"message_id": "m", "tool_call_id": "c", "args_text": "{}"}
    Decision.objects.bulk_create(Decision(review=one, response_type="accept", version=1) for one in decided)
    ToolCall.objects.bulk_create(ToolCall(task=one.task, tool=one.tool, **of_call) for one in decided)
    # Otherwise PostgreSQL may plan for the empty tables that its autovacuum has seen, and take minutes for a query.
    with connection.cursor() as cursor:
        for model in (Session, Task, Review, Decision, ToolCall):
            cursor.execute(f"ANALYZE {model._meta.db_table}")


def readers(people: dict[str, User]) -> list[User]:
    return [people[name] for name in READERS]


def clerks(people: dict[str, User]) -> list[User]:
    """Those who get to the queue."""
    return [people[name] for name in AT_THE_DESK]


@cache
def may_see(user: User, row: Review) -> bool:
    """The definition in Python: an owner's, who acts for the owner, staff with the permission, who may decide it."""
    everything = user.is_staff and user.has_perm("reviews.view_review")
    return everything or may_act_for(user, row.task.session.user_id) or permissions.may_decide(user, row)


def seen_by(user: User, rows: list[Review], status: str = "") -> set[Any]:
    """The ids of those that the user may see."""
    return {row.pk for row in rows if status in ("", row.status) and may_see(user, row)}


def listed(user: User, query: str = "") -> set[Any]:
    """What the queue lists on all of its pages."""
    desk, found = pages_of(user), set()
    for number in range(1, 9):
        rows = desk.get(f"{QUEUE}?p={number}&{query}").context["cl"]
        found |= {row.pk for row in rows.result_list}
        if number >= rows.paginator.num_pages:
            break
    return found


def test_the_database_and_python_mean_the_same(people: dict[str, User], world: list[Review]) -> None:
    for reader in readers(people):
        assert set(permissions.visible(reader).values_list("pk", flat=True)) == seen_by(reader, world)
        decidable = {row.pk for row in world if permissions.may_decide(reader, row)}
        assert set(permissions.decidable(reader).values_list("pk", flat=True)) == decidable
        assert {row.pk for row in world if permissions.may_see(reader, row)} == seen_by(reader, world)


def test_the_readers_differ(people: dict[str, User], world: list[Review]) -> None:
    sets = {name: frozenset(seen_by(user, world)) for name, user in people.items()}
    assert len(sets["root"]) == len(sets["viewer"]) == len(sets["service"]) == len(world) == 96
    assert sets["group_only"] == frozenset()
    assert len({sets[name] for name in ("root", "decider", "financier", "oddfellow", "ann", "submitter", "bob")}) == 7


def test_rest_lists_and_shows_that_set(people: dict[str, User], world: list[Review]) -> None:
    for reader in readers(people):
        body = client_of(reader).get("/reviews?limit=1000").json()
        assert {row["id"] for row in body["results"]} == set(map(str, seen_by(reader, world)))
        statuses = {row.pk: client_of(reader).get(f"/reviews/{row.pk}").status_code for row in world[::9]}
        assert {pk for pk, status in statuses.items() if status == 200} == seen_by(reader, world[::9])


def test_so_does_the_queue_with_its_pages(people: dict[str, User], world: list[Review]) -> None:
    for clerk in clerks(people):
        assert listed(clerk, "status=all") == seen_by(clerk, world)
        assert listed(clerk) == seen_by(clerk, world, "pending")
        desk = pages_of(clerk)
        opened = {row.pk for row in world[::11] if desk.get(f"{QUEUE}{row.pk}/change/").status_code == 200}
        assert opened == seen_by(clerk, world[::11])
        assert {row.pk for row in world[::11] if desk.get(f"{QUEUE}{row.pk}/history/").status_code == 200} == opened


def test_so_do_the_numbers_of_tabs_badge_and_dashboard(people: dict[str, User], world: list[Review]) -> None:
    for clerk in clerks(people):
        expected = len(seen_by(clerk, world, "pending"))
        answer = pages_of(clerk).get(QUEUE)
        assert answer.context["cl"].counts[""] == answer.context["cl"].counts["high"] == expected
        assert answer.context["pending_reviews"] in (expected, None)
        assert pages_of(clerk).get(f"{QUEUE}rows/").json()["pending"] == expected
        assert f"{expected} pending" in dashboard.panels(clerk)[0].note
        assert f"{len(seen_by(clerk, world, 'approved'))} today" in dashboard.panels(clerk)[1].note


@pytest.mark.parametrize("query", ["q=DE{:04}", "q=tool{}", "tool=tool{}"])
def test_search_and_filters_find_nothing_else(people: dict[str, User], world: list[Review], query: str) -> None:
    for clerk in clerks(people):
        for number in range(0, 48, 17):
            among = [row for row in world if row.tool == f"tool{number}"]
            found = listed(clerk, f"status=all&{query.format(number)}")
            assert found == seen_by(clerk, among) or (query == "q=tool{}" and found >= seen_by(clerk, among))
            assert found <= seen_by(clerk, world)


def test_the_tools_to_filter_by_are_those_of_that_set(people: dict[str, User], world: list[Review]) -> None:
    for clerk in clerks(people):
        content = pages_of(clerk).get(f"{QUEUE}?status=all").content.decode()
        offered = {row.tool for row in world if f"tool={row.tool}&" in content or f'tool={row.tool}"' in content}
        assert offered == {row.tool for row in world if row.pk in seen_by(clerk, world)}


def chain(user: User) -> Iterator[Any]:
    """The reviews that one gets by starting with the first and going on to the next."""
    desk = pages_of(user)
    address = desk.get(f"{QUEUE}first/").headers["Location"]
    while "/change/" in address:
        yield address.split("/")[-3]
        address = desk.get(address.replace("/change/", "/next/")).headers["Location"]


def test_the_next_one_is_one_to_decide(people: dict[str, User], world: list[Review]) -> None:
    Interrupt.objects.filter(task__session__user_id="carl").delete()  # each step is a request of its own
    left = list(Review.objects.filter(status="pending").select_related("task__session"))
    for name in ("viewer", "submitter", "financier"):
        to_decide = {str(row.pk) for row in left if permissions.may_decide(people[name], row)}
        met = list(chain(people[name]))
        assert (set(met), len(met)) == (to_decide, len(to_decide))


def test_bulk_lists_and_tells_of_nothing_else(people: dict[str, User], world: list[Review]) -> None:
    for clerk in clerks(people):
        Interrupt.objects.update(risk="low")
        chosen = bulk.select(clerk, "accept", [row.pk for row in world])
        assert {row.pk for row in chosen.rows} <= seen_by(clerk, world, "pending")
        assert len(chosen.rows) + sum(chosen.left_out.values()) == len(seen_by(clerk, world))


def test_a_trial_holds_a_rule_against_nothing_else(people: dict[str, User], world: list[Review]) -> None:
    for reader in readers(people):
        tried = {one.past.task for one in dry_run.tried(PolicyRule(name="x", effect="deny"), reader, last=1000)}
        assert tried == {str(row.task_id) for row in world if row.pk in seen_by(reader, world)}


def test_past_decisions_are_those_of_that_set(people: dict[str, User], world: list[Review]) -> None:
    for clerk in clerks(people):
        Interrupt.objects.update(tool="one")
        asked = next(row for row in Review.objects.filter(status="pending"))
        found = {one.review_id for one in page.past(asked, clerk)}
        assert len(found) == min(page.PAST, len(seen_by(clerk, world, "approved")))
        assert found <= seen_by(clerk, world, "approved")


SHOWN: dict[str, Callable[[Any, Review], bool]] = {
    "task": lambda desk, row: (
        f"/admin/reviews/review/{row.pk}/change/"
        in desk.get(f"/admin/agents/task/{row.task_id}/change/").content.decode()
    ),
    "session": lambda desk, row: (
        desk.get(f"/admin/agents/session/{row.task.session_id}/change/").context["original"].open_ == 1
    ),
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_pages_of_tasks_and_sessions_show_nothing_else(
    people: dict[str, User], world: list[Review], name: str
) -> None:
    for clerk in clerks(people):
        clerk = grant(clerk, "agents.view_task", "agents.view_session", "agents.view_interrupt")
        some = [row for row in world if row.status == "pending"][::9]
        assert {row.pk for row in some if SHOWN[name](pages_of(clerk), row)} == seen_by(clerk, some)


def test_who_gets_to_no_review_sees_none_on_the_page_of_a_task(people: dict[str, User], world: list[Review]) -> None:
    looker = grant(people["bob"], "agents.view_task", "agents.view_session", "agents.view_interrupt")
    content = pages_of(looker).get(f"/admin/agents/task/{world[0].task_id}/change/").content.decode()
    assert "/admin/reviews/review/" not in content
    assert "Open reviews" not in pages_of(looker).get("/admin/agents/session/").content.decode()


def test_a_stored_verdict_that_says_nothing_is_nobodys_to_decide(people: dict[str, User], world: list[Review]) -> None:
    Interrupt.objects.update(verdict_text="{}")
    assert not permissions.decidable(people["financier"]).exists()
    assert permissions.visible(people["ann"]).count() == 32
