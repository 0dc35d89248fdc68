"""GET /metrics: metrics of the whole service for Prometheus, the same from every web process.

Each scrape runs a fixed number of queries over unfinished tasks and open reviews, and reads the small table of what the
workers have counted (`agents/observability/metrics.py`). No query here scans finished tasks.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Count, Min
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet
from typing_extensions import override

from agents import pauses
from agents.models import ACTIVE, FINAL, Interrupt, Measure, Pause, Status, Task
from agents.observability.metrics import COUNTERS, HISTOGRAMS, SUM, TASKS_FINISHED, Counter, Histogram
from agentsite.api.readiness import ALIVE, SILENT, workers
from agentsite.api.system import VERSION
from core.auth.principals import VIEW_SYSTEM
from core.errors import NotAllowed
from notifications.events import NOTICES
from reviews.policy.engine import RISKS

UNFINISHED = (Status.QUEUED, *ACTIVE)

Rows = dict[str, list[tuple[tuple[str, ...], float]]]  # label values and amounts, keyed by the measure's name


class MetricsViewSet(ViewSet):
    """Metrics for principals with the `view_system` permission."""

    @override
    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Ignore the Accept header: metrics have their own format, and errors are JSON."""
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(exclude=True)  # not JSON, and not for clients of the API
    def retrieve(self, request: Request) -> HttpResponse:
        """All figures, in Prometheus' text format or in OpenMetrics where the client asks for it."""
        if not request.user.has_perm(VIEW_SYSTEM):
            raise NotAllowed
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HttpResponse(encode(_registry), content_type=content_type)


class Figures(Collector):
    """Collector that reads all metrics from the database at each scrape."""

    @override
    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("agentsite", "The running version.", {"version": VERSION})
        yield from _tasks()
        yield from _reviews()
        yield from _paused()
        yield from _workers()
        yield from _counted()


def _workers() -> Iterator[Metric]:
    found = workers()
    yield GaugeMetricFamily(
        "agentsite_workers_alive", f"Worker processes with a heartbeat in the last {ALIVE:g} s.", found["workers_alive"]
    )
    yield GaugeMetricFamily(
        "agentsite_workers_listening",
        f"Live worker processes that listened to the broker in the last {SILENT:g} s.",
        found["workers_listening"],
    )


def _tasks() -> Iterator[Metric]:
    """Yield metrics of unfinished tasks, which are counted in an index alone."""
    unfinished = Task.objects.filter(status__in=UNFINISHED).order_by().values("status")
    found = {row["status"]: row for row in unfinished.annotate(count=Count("*"), oldest=Min("updated_at"))}
    tasks = GaugeMetricFamily("agentsite_tasks", "Unfinished tasks by status.", labels=["status"])
    oldest = GaugeMetricFamily(
        "agentsite_tasks_oldest_seconds",
        "How long the oldest unfinished task has been in this status.",
        labels=["status"],
    )
    for status in UNFINISHED:
        row = found.get(status)
        tasks.add_metric([status], row["count"] if row else 0)
        oldest.add_metric([status], _age(row["oldest"] if row else None))
    yield from (tasks, oldest)


def _reviews() -> Iterator[Metric]:
    pending = Interrupt.objects.filter(status=Interrupt.Status.PENDING).order_by().values("risk", "kind", "tool")
    by_risk: dict[str, int] = dict.fromkeys(RISKS, 0)
    in_doubt: dict[str, int] = defaultdict(int)
    oldest: datetime | None = None
    for row in pending.annotate(count=Count("pk"), oldest=Min("created_at")):
        risk = row["risk"] or "none"
        by_risk[risk] = by_risk.get(risk, 0) + row["count"]
        oldest = min(oldest or row["oldest"], row["oldest"])
        if row["kind"] == Interrupt.Kind.IN_DOUBT:
            in_doubt[row["tool"]] += row["count"]
    reviews = GaugeMetricFamily("agentsite_reviews_pending", "Open reviews by risk.", labels=["risk"])
    for risk, count in by_risk.items():
        reviews.add_metric([risk], count)
    doubtful = GaugeMetricFamily(
        "agentsite_tool_calls_in_doubt", "Tool calls in doubt, which wait for a person's decision.", labels=["tool"]
    )
    for tool, count in in_doubt.items():
        doubtful.add_metric([tool], count)
    yield from (reviews, doubtful)
    yield GaugeMetricFamily("agentsite_reviews_oldest_seconds", "Age of the oldest open review.", _age(oldest))


def _paused() -> Iterator[Metric]:
    active = list(pauses.active())
    family = GaugeMetricFamily("agentsite_pauses", "Pauses in force, by scope.", labels=["scope"])
    for scope in Pause.Scope.values:
        family.add_metric([scope], sum(pause.scope == scope for pause in active))
    waiting = Task.objects.filter(counted=False, status=Status.PENDING)
    held = pauses.held_by(active, waiting).count() if active else 0
    yield from (
        family,
        GaugeMetricFamily("agentsite_tasks_paused", "Pending tasks that a pause keeps from starting.", held),
    )


def _counted() -> Iterator[Metric]:
    rows: Rows = defaultdict(list)
    for name, labels, value in Measure.objects.order_by("name", "labels").values_list("name", "labels", "value"):
        rows[name].append((tuple(json.loads(labels)), value))
    for counter in (*COUNTERS, NOTICES):
        yield _counter(counter, dict(rows[counter.name]))
    for histogram in HISTOGRAMS:
        yield _histogram(histogram, rows[histogram.name])


def _counter(counter: Counter, values: dict[tuple[str, ...], float]) -> Metric:
    if counter is TASKS_FINISHED:  # export every status from the start, so that the first error is an increase
        values = {(status,): values.get((status,), 0.0) for status in FINAL}
    family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(histogram: Histogram, rows: list[tuple[tuple[str, ...], float]]) -> Metric:
    """Return the histogram with cumulative buckets, as Prometheus expects them."""
    family = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
    by_labels: dict[tuple[str, ...], list[tuple[str, float]]] = {} if histogram.labels else {(): []}
    for labels, value in rows:
        by_labels.setdefault(labels[:-1], []).append((labels[-1], value))
    for labels, parts in by_labels.items():
        seconds = sum(value for part, value in parts if part == SUM)
        counts = [(float(part), value) for part, value in parts if part != SUM]
        bounds = [*histogram.bounds, math.inf]
        buckets = [(_bound(upper), sum(value for bound, value in counts if bound <= upper)) for upper in bounds]
        family.add_metric(labels, buckets, seconds)
    return family


def _bound(upper: float) -> str:
    return "+Inf" if upper == math.inf else str(float(upper))


def _age(since: datetime | None) -> float:
    """Return the seconds since then, or 0 for None."""
    return max((timezone.now() - since).total_seconds(), 0.0) if since else 0.0


_registry = CollectorRegistry()
_registry.register(Figures())
