"""Comparison of what really happened in a chaos run with what the database says."""

import json
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.models import FINAL, Attempt, Interrupt, Status, Task, ToolCall
from benchmarks.harness.blows import Blow
from benchmarks.harness.story import Story

Call = tuple[str, float]  # tool and amount: unique over all runs


@dataclass(frozen=True)
class Recovery:
    """Recovery from the kill or stall of an attempt's process until the task's next attempt. Times are since the epoch.

    If a process was hit more than once, the first fault after which it did not continue counts.
    """

    pid: int
    struck: float
    lapsed: float
    claimed: float
    kind: str  # kill or stall
    met_outage: bool  # of a server that everything depends on

    @property
    def seconds(self) -> float:
        """Duration of the recovery."""
        return self.claimed - self.struck

    def told(self, blows: list[Blow]) -> str:
        """Describe when the lease was seen to expire, when the task was claimed, and the faults in between."""
        meanwhile = [
            f"{blow.kind} of {list(blow.pids)} at {blow.at - self.struck:.1f} s"
            + ("" if blow.until is None else f" until {blow.until - self.struck:.1f} s")
            for blow in blows
            if blow.at <= self.claimed and (blow.until or blow.at) >= self.struck
        ]
        return (
            f"{self.pid}: lapsed after {self.lapsed - self.struck:.1f} s, claimed after {self.seconds:.1f} s; "
            + ", ".join(meanwhile)
        )


@dataclass
class Verdict:
    """Figures of one chaos run."""

    calls: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    in_doubt: int = 0
    given_up: int = 0
    recoveries: list[Recovery] = field(default_factory=list)

    def slowest(self, count: int) -> list[Recovery]:
        """Return the `count` slowest recoveries, slowest first."""
        return sorted(self.recoveries, key=lambda recovery: -recovery.seconds)[:count]

    def line(self, given: Namespace, bound: float) -> str:
        """Return all figures in one line, after a few examples of what went wrong."""
        examples = "".join(f"{text}\n" for text in [*self.lost[:5], *self.doubled[:5]])
        restarts = (
            ""
            if given.sqlite
            else (f", {given.broker_restarts} {given.broker} and {given.database_restarts} database restarts")
        )
        kills = [one.seconds for one in self.recoveries if one.kind == "kill" and not one.met_outage]
        p50, p99 = _share(kills, 0.5), _share(kills, 0.99)
        others = len(self.recoveries) - len(kills)
        all_p99 = _share([one.seconds for one in self.recoveries], 0.99)
        control = f"without {given.control}: " if given.control else ""
        return (
            f"{examples}{control}{given.runs} runs, {self.calls} tool calls, {given.kills} kills, {given.stalls} stalls"
            f"{restarts} -> {len(self.lost)} lost, {len(self.doubled)} doubled, "
            f"{self.in_doubt} in doubt (all surfaced), {self.given_up} given up; "
            f"{len(kills)} recoveries after a kill, p50 {p50:.1f} s, p99 {p99:.1f} s (bound {bound:.0f} s); "
            f"with {others} more, after a stall or with a server away meanwhile, p99 {all_p99:.1f} s"
        )


def judge(story: Story, blows: list[Blow], oracle: Path) -> Verdict:
    """Check every task, every ledger row and every call that happened."""
    verdict = Verdict()
    happened: Counter[Call] = Counter()
    for line in oracle.read_text().splitlines() if oracle.exists() else ():
        tool, amount, _ = line.split()
        happened[tool, float(amount)] += 1
    verdict.calls = sum(happened.values())
    _judge_tasks(verdict, story)
    _judge_calls(verdict, happened)
    _judge_approvals(verdict)
    verdict.in_doubt = Interrupt.objects.filter(kind=Interrupt.Kind.IN_DOUBT).count()
    verdict.recoveries = _recoveries(blows)
    return verdict


def _judge_tasks(verdict: Verdict, story: Story) -> None:
    verdict.given_up = Task.objects.filter(status=Status.ERROR, message__contains="times in a row").count()
    if (missing := story.runs - Task.objects.count()) > 0:
        verdict.lost.append(f"{missing} submitted tasks are not there")
    for task in Task.objects.exclude(status__in=FINAL):
        verdict.lost.append(f"task {task.pk} is still {task.status}")
    for task in Task.objects.filter(status=Status.ERROR).exclude(message__contains="times in a row"):
        verdict.lost.append(f"task {task.pk} failed: {task.message}")


def _judge_calls(verdict: Verdict, happened: Counter[Call]) -> None:
    """Check that each effect happened once, and once more for each time that a person said "run it again"."""
    allowed: Counter[Call] = Counter()
    for row in ToolCall.objects.select_related("task"):
        call = (row.tool, json.loads(row.args_text)["amount"])
        answers = _answers(row, Interrupt.Kind.IN_DOUBT)
        allowed[call] = max(allowed[call], 1) + sum(answer.status == Interrupt.Status.APPROVED for answer in answers)
        said = any(answer.status != Interrupt.Status.APPROVED and answer.answered_by != "system" for answer in answers)
        if row.status == ToolCall.Status.SUCCEEDED and not said and not happened[call]:
            verdict.lost.append(f"{call} succeeded and has not happened")
        if row.status == ToolCall.Status.STARTED and row.task.status == Status.COMPLETED:
            verdict.lost.append(f"{call} is in doubt and was never shown")
    for call, count in happened.items():
        if call[0] != "put" and count > allowed[call]:  # the same key again has no second effect
            verdict.doubled.append(f"{call} happened {count} times, {allowed[call]} were allowed")


def _judge_approvals(verdict: Verdict) -> None:
    """Check that approved calls ran, in tasks that have completed."""
    approved = Interrupt.objects.filter(kind=Interrupt.Kind.TOOL_CALL, status=Interrupt.Status.APPROVED)
    for row in approved.filter(task__status=Status.COMPLETED):
        if not ToolCall.objects.filter(task=row.task_id, tool_call_id=row.tool_call_id).exists():
            verdict.lost.append(f"{row.args_text} was approved and never ran")


def _answers(row: ToolCall, kind: str) -> list[Interrupt]:
    found = Interrupt.objects.filter(task=row.task_id, message_id=row.message_id, tool_call_id=row.tool_call_id)
    return list(found.filter(kind=kind, answered_at__isnull=False))


def _recoveries(blows: list[Blow]) -> list[Recovery]:
    found: list[Recovery] = []
    for attempt in Attempt.objects.filter(outcome=Attempt.Outcome.LAPSED):
        after: Any = Attempt.objects.filter(task=attempt.task_id, token=attempt.token + 1).first()
        ended: Any = attempt.ended_at
        pid = int(attempt.worker.rsplit(":", 1)[1])
        during = (attempt.started_at.timestamp(), ended.timestamp())
        met = [blow for blow in blows if pid in blow.pids and during[0] <= blow.at <= during[1]]
        if met and after is not None:
            fatal, claimed = _fatal(met), after.started_at.timestamp()
            outages = [(blow.at, blow.until) for blow in blows if blow.until and not blow.pids]
            met_outage = any(begun < claimed and end > fatal.at for begun, end in outages)
            found.append(Recovery(pid, fatal.at, during[1], claimed, fatal.kind, met_outage))
    return found


def _share(seconds: list[float], share: float) -> float:
    """Return the time within which this share of them was over."""
    ordered = sorted(seconds) or [0.0]
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _fatal(met: list[Blow]) -> Blow:
    """Return the first fault after which the process did not continue: no stall that ended before the next fault."""
    first = met[-1]
    for earlier in reversed(met[:-1]):
        if earlier.until is not None and earlier.until < first.at:
            break
        first = earlier
    return first
