"""Playback of one task: submitted, run and decided by the services, with a script in place of the model."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from agents import broker
from agents import services as agents
from agents.models import Interrupt, Status, Task
from agents.runtime import runner
from agents.state import tasks
from agents.worker import jobs
from demo.scripted import Line, speaking
from demo.times import Step, date_back
from demo.tools import outage
from reviews.decisions import services
from reviews.policy import rules

WORKER = "demo"  # name of the worker that claims the tasks
ALWAYS = timedelta(days=14)
ALWAYS_USES = 20
UNASKED = "unasked"  # marks a call that a rule decides


class OutOfScript(Exception):
    """Raised when a task does not go as its text says, for example because texts and tools do not match."""


@dataclass
class Play:
    """One task of a session. `text` is an entry of the texts; `cast` maps the names in it to users."""

    user_id: str
    session_id: str
    number: int
    text: Mapping[str, Any]
    at: datetime
    cast: Mapping[str, User]
    steps: list[Step] = field(default_factory=list)

    def act(self) -> Task:
        """Run the task as the text says, then backdate it. Raises OutOfScript."""
        if self.text.get("leave"):
            return self._leave()
        with broker.silence(), speaking(self._lines()):
            task = self._run()
        if self.text.get("cancel"):
            agents.cancel(task)
        task.refresh_from_db()
        if task.status != self._expected():
            raise OutOfScript(f"{task} has the status {task.status} instead of {self._expected()}: {task.message}")
        date_back(task, self.steps)
        return task

    def _run(self) -> Task:
        with transaction.atomic():  # hides the unclaimed task, which a running worker would take
            task = self._submitted()
            attempt = tasks.claim(task.pk, WORKER)
        self._advance(Step(self.at, _claimed(attempt)))
        at = self.at
        for place, (_tool, _args, *rest) in enumerate(self.text.get("calls", ())):
            if rest and rest[0]["as"] != UNASKED:
                at = max(at, self.at + timedelta(hours=rest[0]["after"]))
                self._decide(task, place, rest[0], at)
        return task

    def _submitted(self) -> Task:
        ids = {"user_id": self.user_id, "session_id": self.session_id, "task_id": f"{self.number:02}"}
        return agents.submit(agents.Submission(query=self.text["ask"], **ids), self.cast["shop"])

    def _leave(self) -> Task:
        """Leave a task for a worker to find: pending, held by a worker that is gone, or queued behind another one."""
        if self.text["leave"] != "running":
            return self._submitted()
        with broker.silence(), transaction.atomic():
            task = self._submitted()
            tasks.claim(task.pk, WORKER)
        return task

    def _advance(self, step: Step) -> None:
        known = {pk for one in self.steps for pk in one.asked}
        # Like `jobs.run`, but without a heart, which would run the sweeper and the housekeeping in this process.
        jobs.record(step.attempt, runner.advance(step.attempt, threading.Event()))
        asked = Interrupt.objects.filter(task=step.attempt.task_id).exclude(pk__in=known)
        step.asked = set(asked.values_list("pk", flat=True))
        self.steps.append(step)

    def _decide(self, task: Task, place: int, said: Mapping[str, Any], at: datetime) -> None:
        of_call = Q(tool_call_id__startswith=f"call_{place}_") | Q(kind=Interrupt.Kind.QUESTION)
        review = Interrupt.objects.filter(of_call, task=task, status=Interrupt.Status.PENDING).first()
        if review is None:
            raise OutOfScript(f"{task}: there is no review of call {place} in {self.text['ask']!r}.")
        with transaction.atomic():
            if said["as"] == "expire":
                Interrupt.objects.filter(pk=review.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
                services.expire()
            else:
                services.decide(review.pk, self.cast[said["by"]], _choice(review, said))
            attempt = _claimed(tasks.claim(task.pk, WORKER))
        if self.text.get("outage"):
            with outage():
                self._advance(Step(at, attempt, review.pk))
        else:
            self._advance(Step(at, attempt, review.pk))
        if said.get("always"):
            review.refresh_from_db()
            until = timezone.now() + ALWAYS
            rules.allow_always(review, self.cast[said["by"]], scope="user", until=until, uses=ALWAYS_USES)

    def _lines(self) -> list[Line]:
        if "fails" in self.text:
            return [Line("", refusal=self.text["fails"])]
        lines = [Line("", [(name, args) for name, args in self.text["looks"]])] if "looks" in self.text else []
        if "calls" in self.text:
            lines.append(Line(self.text.get("why", ""), [(name, args) for name, args, *_ in self.text["calls"]]))
        return [*lines, Line(self.text.get("say", ""))]

    def _expected(self) -> Status:
        if "fails" in self.text:
            return Status.ERROR
        if self.text.get("cancel"):
            return Status.CANCELLED
        waits = any(len(call) == 2 for call in self.text.get("calls", ())) or self.text.get("outage")
        return Status.INTERRUPTED if waits else Status.COMPLETED


def _claimed(attempt: Any) -> Any:
    if attempt is None:
        raise OutOfScript("A worker has taken a task of the demo. Stop the workers, then try again.")
    return attempt


def _choice(review: Interrupt, said: Mapping[str, Any]) -> services.Choice:
    if said["as"] == "edit":
        return services.Choice("edit", _merged(review.args, said["args"]))
    if said["as"] == "response":
        return services.Choice("response", said["text"])
    return services.Choice(said["as"], message=said.get("text", ""))


def _merged(old: Any, new: Any) -> Any:
    """Return the old arguments with the new ones merged in, also in nested objects."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}
    return new
