"""Clients and reviewers of a chaos run. They use the same services as REST and the admin."""

import faulthandler
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import django

django.setup()

from django.contrib.auth.models import Permission, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402

from agents import broker, services  # noqa: E402
from agents.models import FINAL, Interrupt, Task  # noqa: E402
from core.db.connections import AWAY  # noqa: E402
from core.errors import AgentsiteError  # noqa: E402
from reviews.decisions.services import Choice, decide  # noqa: E402

Result = TypeVar("Result")
_WAITS = """
    SELECT pid, state, wait_event, pg_blocking_pids(pid), now() - xact_start, left(query, 200) FROM pg_stat_activity
    WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
"""
WINDOW = 5  # tasks in progress: few enough that a child is free for a lost one even if a worker is away
QUERY = (
    'call charge with {{"amount": {0}.1}} and call grab with {{"amount": {0}.2}} then '
    'call charge with {{"amount": {0}.3}} and call put with {{"amount": {0}.4}}'
)


class Story:
    """A number of tasks that make one call after the other: two reviewed calls and two free ones."""

    def __init__(self, runs: int, seed: int, folder: Path) -> None:
        call_command("migrate", verbosity=0)
        self.runs, self.seed, self.folder = runs, seed, folder
        self.submitted = 0
        self.over = threading.Event()
        self.client = User.objects.create_user("client")
        self.reviewer = User.objects.create_user("reviewer")
        self.reviewer.user_permissions.add(Permission.objects.get(codename="decide_review"))
        connections.close_all()

    def allowed(self) -> float:
        """Return the share of the runs that may be submitted by now, so that they last as long as the faults."""
        path = self.folder / "allowed"
        return float(path.read_text()) if path.exists() else 0.0

    def submit(self) -> None:
        """Keep WINDOW tasks in progress, repeat unanswered submissions, and publish some jobs ten more times."""
        chance = random.Random(self.seed + 1)
        while self.submitted < self.runs:
            under_way = persistent(lambda: Task.objects.exclude(status__in=FINAL).count())
            if under_way >= WINDOW or self.submitted > self.allowed() * self.runs + WINDOW:
                time.sleep(0.05)
                continue
            number = self.submitted + 1
            ids = {"user_id": f"user{number % 7}", "session_id": f"session{number}", "task_id": "task"}
            submission = services.Submission(query=QUERY.format(number), **ids)
            task = persistent(lambda given=submission: services.submit(given, self.client))  # type: ignore[misc]
            self.submitted = number
            for _ in range(10 if chance.random() < 0.1 else 0):
                broker.publish(task.pk)

    def review(self) -> None:
        """Decide pending reviews at random: once, by a double click, or by two reviewers who compete."""
        chance = random.Random(self.seed + threading.get_ident() % 97)
        while not self.over.is_set():
            pending = Interrupt.objects.filter(status=Interrupt.Status.PENDING).values_list("pk", "kind")
            for pk, kind in persistent(lambda rows=pending: list(rows[:20])):  # type: ignore[misc]
                choices = [_choice(kind, chance)]
                if (manner := chance.random()) < 0.2:
                    choices *= 2
                elif manner < 0.3:
                    choices.append(_choice(kind, chance))
                clicks = [threading.Thread(target=self._decide, args=(pk, choice)) for choice in choices]
                for click in clicks:
                    click.start()
                for click in clicks:
                    click.join()
            time.sleep(0.1)

    def wait_for_first(self) -> None:
        """Wait until the workers have begun."""
        while not persistent(lambda: Task.objects.filter(token__gt=0).exists()):
            time.sleep(0.2)

    def wait_for_end(self, seconds: float) -> None:
        """Wait until every task was submitted and has ended, but at most `seconds` after the last fault."""
        while self.allowed() < 1:  # a fault would disturb the judging
            time.sleep(0.2)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (self.submitted < self.runs or persistent(self._unfinished)):
            time.sleep(0.2)
        if time.monotonic() >= deadline:
            self._tell_what_hangs()
        self.over.set()
        time.sleep(1)

    def _tell_what_hangs(self) -> None:
        """Print what the unfinished tasks wait for, what the database waits for, and where each thread of ours is."""
        for task in Task.objects.exclude(status__in=FINAL):
            print(f"task {task.pk}: {task.status} since {task.updated_at}, token {task.token}, held {task.held_tool!r}")
            for asked in Interrupt.objects.filter(task=task).order_by("created_at"):
                print(f"  {asked.kind} of {asked.tool}, round {asked.round}: {asked.status}, used {asked.used_at}")
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(_WAITS)
                for row in cursor.fetchall():
                    print(*row, sep=" | ")
        faulthandler.dump_traceback()

    def _unfinished(self) -> bool:
        return Task.objects.exclude(status__in=FINAL).exists()

    def _decide(self, pk: Any, choice: Choice) -> None:
        try:
            persistent(lambda: decide(pk, self.reviewer, choice))
        except AgentsiteError:
            pass  # another reviewer was first, or the task has ended
        finally:
            connections.close_all()


def persistent(job: Callable[[], Result]) -> Result:
    """Return the result of the job. Tries again while the database is away."""
    while True:
        try:
            return job()
        except AWAY:
            connections.close_all()
            time.sleep(0.1)


def _choice(kind: str, chance: random.Random) -> Choice:
    if kind == Interrupt.Kind.IN_DOUBT:
        given = chance.choice(("accept", "response", "reject"))
    else:
        given = chance.choices(("accept", "reject", "response"), (8, 1, 1))[0]
    return Choice(given, "it is done" if given == "response" else None, "no" if given == "reject" else "")
