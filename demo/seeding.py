"""Creation and removal of the demo data."""

import json
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.test.utils import override_settings
from django.utils import timezone

from agents.models import Interrupt, Session, Task, ToolCall
from agents.runtime import registry
from agentsite import privacy
from agentsite.accounts import find_permission, make_service, reviewers
from demo import SUFFIX, times
from demo.play import Play
from memory import services as memories
from memory.models import Memory
from reviews.console import queue
from reviews.decisions import claims
from reviews.models import Decision, PolicyRule
from reviews.policy import rules

TEXTS = Path(__file__).parent / "texts"
SCRIPT = "demo.scripted.model"
NOWHERE = "django.core.mail.backends.dummy.EmailBackend"
REVIEWERS = ("rita", "wenbo")  # without a password, so that no one can log in as them
LOOKED_AT = 2  # reviews to claim, for as long as a claim lasts
JITTER = 0.1  # hours by which the seed moves a task's start at most
CANCELLED_AFTER = timedelta(minutes=40)
RULE_DAYS = 60


@dataclass(frozen=True)
class Made:
    """Counts of the demo's rows."""

    users: int
    sessions: int
    tasks: int
    pending: int
    decisions: int
    tool_calls: int
    memories: int
    rules: int


def made() -> Made:
    """Return the counts of the demo's rows now."""
    tasks = Task.objects.filter(user_id__endswith=SUFFIX)
    return Made(
        users=len(_owners()),
        sessions=_sessions().count(),
        tasks=tasks.count(),
        pending=Interrupt.objects.filter(task__in=tasks, status=Interrupt.Status.PENDING).count(),
        decisions=Decision.objects.filter(review__task__in=tasks).count(),
        tool_calls=ToolCall.objects.filter(task__in=tasks).count(),
        memories=Memory.objects.filter(user_id__endswith=SUFFIX).count(),
        rules=_rules().count(),
    )


def others() -> int:
    """Return the number of sessions that do not belong to the demo."""
    return Session.objects.exclude(user_id__endswith=SUFFIX).count()


def is_there() -> bool:
    """Return whether any demo data exists."""
    return bool(_owners()) or _accounts().exists() or _rules().exists()


def fill(seed: int) -> None:
    """Create all demo data, or none.

    Args:
        seed: seed of the random part, which moves each start by some minutes.

    Raises OutOfScript, and what the services raise, such as TooManyTasks.
    """
    try:
        _fill(random.Random(seed), timezone.now())
    except BaseException:  # also Ctrl-C
        remove()
        raise


def _fill(chance: random.Random, now: datetime) -> None:
    cast = _cast()
    _make_rules(cast["rita"], now)
    for entry in _read("memories"):
        _remember(entry, now)
    with _scripted():
        for entry in (*_read("english"), *_read("chinese")):
            _act(entry, cast, chance, now)
    for review in _pending()[1 : 1 + LOOKED_AT]:
        claims.claim(review.pk, cast["rita"])


def remove() -> Made:
    """Delete all demo data and return its counts. Entries of the audit log stay, as always."""
    found = made()
    for user_id in _owners():
        privacy.erase(user_id)
    _rules().delete()
    _accounts().delete()
    return found


def _act(entry: dict[str, Any], cast: dict[str, User], chance: random.Random, now: datetime) -> None:
    user_id, session_id = entry["user"] + SUFFIX, entry["session"]
    session = Session.objects.create(user_id=user_id, session_id=session_id, title=entry.get("title", ""))
    for number, text in enumerate(entry["tasks"], 1):
        at = now - timedelta(hours=text.get("ago", 0) - chance.uniform(0, min(JITTER, text.get("ago", 0) / 10)))
        Play(user_id, session_id, number, text, at, cast).act()
    times.date_back_session(session, CANCELLED_AFTER)


def _cast() -> dict[str, User]:
    """Create the accounts that submit and decide."""
    cast = {name: User.objects.create_user(name + SUFFIX) for name in ("shop", *REVIEWERS)}
    make_service(cast["shop"])
    for name in REVIEWERS:
        cast[name].groups.add(reviewers())
    cast["rita"].user_permissions.add(find_permission(rules.ADD))
    return {name: User.objects.get(pk=user.pk) for name, user in cast.items()}  # reloaded: permissions are cached


def _make_rules(by: User, now: datetime) -> None:
    for entry in _read("rules"):
        # Only for users of the demo: its rules must not apply to the calls of others.
        rule = PolicyRule(user=f"*{SUFFIX}", ends_at=now + timedelta(days=RULE_DAYS), **entry)
        rule.full_clean()
        rules.save(rule, by)


def _remember(entry: dict[str, Any], now: datetime) -> None:
    status = entry.get("status", "active")
    kind, source = Memory.Kind(entry["kind"]), Memory.Source(entry["source"])
    about: dict[str, Any] = {"kind": kind, "source": source, "trusted": status != "pending"}
    if "scope" in entry:
        about |= {"scope": Memory.Scope(entry["scope"]), "scope_ref": entry["of"]}
    memory = memories.add(entry["user"] + SUFFIX, entry.get("was", entry["text"]), **about)
    at = now - timedelta(hours=entry["ago"])
    found = [memory]
    if "was" in entry:
        found.append(memories.supersede(memory, entry["text"], source=source, trusted=True))
    if status == "forgotten":
        memories.forget(memory)
    Memory.objects.filter(pk__in=[one.pk for one in found]).update(created_at=at, updated_at=at, valid_from=at)


@contextmanager
def _scripted() -> Iterator[None]:
    """Make this process's agent use the scripted model, and discard its tools' mail, inside the block."""
    agents = {**settings.AGENTS, "default": {**settings.AGENTS["default"], "MODEL": SCRIPT}}
    with override_settings(AGENTS=agents, EMAIL_BACKEND=NOWHERE):  # Django's only way to change settings temporarily
        _build_anew()
        try:
            yield
        finally:
            _build_anew()


def _build_anew() -> None:
    registry.agent.cache_clear()
    registry.graph.cache_clear()


def _read(name: str) -> Iterable[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((TEXTS / f"{name}.json").read_text(encoding="utf-8"))
    return entries


def _sessions() -> Any:
    return Session.objects.filter(user_id__endswith=SUFFIX)


def _owners() -> list[str]:
    found = {*_sessions().values_list("user_id", flat=True)}
    return sorted(found | {*Memory.objects.filter(user_id__endswith=SUFFIX).values_list("user_id", flat=True)})


def _rules() -> Any:
    return PolicyRule.objects.filter(user__endswith=SUFFIX)


def _accounts() -> Any:
    return User.objects.filter(username__endswith=SUFFIX)


def _pending() -> Any:
    return queue.pending().filter(task__user_id__endswith=SUFFIX, kind=Interrupt.Kind.TOOL_CALL)
