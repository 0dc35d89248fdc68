"""GET /metrics, read as Prometheus reads it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from agents.models import Interrupt, Measure, Session, Task, ToolCall, WorkerProcess
from agents.observability import metrics
from agents.state import tasks
from core.models import ApiKey
from reviews.decisions.services import Choice, decide
from tests.support.accounts import client_of, grant
from tests.support.helpers import open_review

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.fixture
def key(db: Any) -> str:
    """Prometheus' key."""
    user = grant(User.objects.create_user("prometheus"), "agents.view_system")
    return str(ApiKey.objects.create_key(name="prometheus", user=user)[1])


@pytest.fixture
def scrape(key: str) -> Any:
    """All samples by name and labels, written as `name{a=1,b=2}`."""

    def read() -> dict[str, float]:
        response = Client().get("/metrics", headers={"Authorization": f"Bearer {key}", "Accept": TEXT})
        assert response.status_code == 200, response.content
        samples = [sample for family in parse(response.content.decode()) for sample in family.samples]
        return {named(sample): sample.value for sample in samples}

    return read


def named(sample: Any) -> str:
    labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}" if labels else str(sample.name)


def many(count: int, status: str, **more: Any) -> list[Task]:
    """So many tasks in this status, each in a session of its own."""
    sessions = Session.objects.bulk_create(Session(user_id="u", session_id=f"{status}{n}") for n in range(count))
    rows = [Task(session=s, task_id="t", position=1, query="q", status=status, **more) for s in sessions]
    return Task.objects.bulk_create(rows)


# Who may


def test_a_stranger_gets_a_401_in_json() -> None:
    response = Client().get("/metrics", headers={"Accept": TEXT})
    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("who", ["ann", "service", "reviewer"])
def test_without_the_right_it_is_a_403_in_json(who: str, request: Any) -> None:
    response = client_of(request.getfixturevalue(who)).get("/metrics", headers={"Accept": "text/plain"})
    assert response.status_code == 403
    assert response.json()["code"] == "not_allowed"


def test_it_is_only_read(key: str) -> None:
    assert Client().post("/metrics", headers={"Authorization": f"Bearer {key}"}).status_code == 405


# In which form


def test_the_answer_is_prometheus_text(key: str) -> None:
    response = Client().get("/metrics", headers={"Authorization": f"Bearer {key}", "Accept": TEXT})
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_openmetrics_is_given_to_who_asks_for_it(key: str, invoke: Any, work: Any) -> None:
    invoke("multiply 6 by 7")
    work()
    metrics.flush()
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    response = Client().get("/metrics", headers={"Authorization": f"Bearer {key}", "Accept": accept})
    assert response["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "agentsite_task_queue_seconds" in {family.name for family in parse_openmetrics(response.content.decode())}


def test_a_new_service_has_all_its_gauges_at_0(scrape: Any) -> None:
    found = scrape()
    for status in ("queued", "pending", "running", "interrupted"):
        assert found[f"agentsite_tasks{{status={status}}}"] == 0
        assert found[f"agentsite_tasks_oldest_seconds{{status={status}}}"] == 0
    for status in ("completed", "error", "cancelled"):
        assert found[f"agentsite_tasks_finished_total{{status={status}}}"] == 0
    assert found["agentsite_workers_alive"] == found["agentsite_reviews_oldest_seconds"] == 0
    assert found["agentsite_task_run_seconds_count"] == found["agentsite_task_run_seconds_bucket{le=+Inf}"] == 0


# What it says


def test_unfinished_tasks_by_status_with_their_age(scrape: Any) -> None:
    many(2, "pending", updated_at=timezone.now() - timedelta(seconds=500))
    many(1, "interrupted")
    found = scrape()
    assert found["agentsite_tasks{status=pending}"] == 2
    assert found["agentsite_tasks{status=interrupted}"] == 1
    assert 500 <= found["agentsite_tasks_oldest_seconds{status=pending}"] < 600


def test_a_finished_task_moves_to_the_counters(scrape: Any, invoke: Any, work: Any) -> None:
    invoke("multiply 6 by 7")
    work()
    metrics.count_ended()
    metrics.flush()
    found = scrape()
    assert found["agentsite_tasks_finished_total{status=completed}"] == 1
    assert found["agentsite_task_run_seconds_count"] == found["agentsite_task_queue_seconds_count"] == 1
    assert found["agentsite_tool_calls_total{status=succeeded,tool=multiply}"] == 1
    assert found["agentsite_model_calls_total{model=demo,outcome=answered}"] == 2
    assert found["agentsite_model_tokens_total{direction=input,model=demo}"] > 0


def test_buckets_hold_the_smaller_ones_too(scrape: Any) -> None:
    for seconds in (0.05, 0.3, 2, 99999):
        metrics.observe(metrics.MODEL_SECONDS, seconds, "m")
    metrics.flush()
    found = scrape()
    for bound, count in {"0.1": 1, "0.5": 2, "2.5": 3, "120.0": 3, "+Inf": 4}.items():
        assert found[f"agentsite_model_call_seconds_bucket{{le={bound},model=m}}"] == count
    assert found["agentsite_model_call_seconds_sum{model=m}"] == pytest.approx(100001.35)


def test_a_bucket_of_an_older_version_still_counts(scrape: Any) -> None:
    Measure.objects.create(name="agentsite_task_run_seconds", labels='["0.7"]', value=3)
    found = scrape()
    assert found["agentsite_task_run_seconds_bucket{le=0.5}"] == 0
    assert found["agentsite_task_run_seconds_bucket{le=1.0}"] == found["agentsite_task_run_seconds_count"] == 3


def test_open_reviews_by_risk_with_the_age_of_the_oldest(scrape: Any, invoke: Any, work: Any) -> None:
    for number, query in enumerate(["book the Ritz for 2 nights", "book the Savoy for 2 nights"]):
        invoke(query, session=f"s{number}")
    invoke("email bob@example.com saying hello", session="mail")
    work()
    Interrupt.objects.filter(tool="book_hotel").update(created_at=timezone.now() - timedelta(seconds=500))
    found = scrape()
    assert [found[f"agentsite_reviews_pending{{risk={risk}}}"] for risk in ("low", "medium", "high")] == [0, 2, 1]
    assert 500 <= found["agentsite_reviews_oldest_seconds"] < 600


def test_a_decided_review_is_not_open(scrape: Any, invoke: Any, work: Any, reviewer: User) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    assert scrape()["agentsite_reviews_pending{risk=medium}"] == 0


@pytest.mark.usefixtures("oracle")
def test_calls_in_doubt_by_tool(scrape: Any, invoke: Any, work: Any, reviewer: User) -> None:
    task = invoke('call charge_and_time_out with {"amount": 3}')
    work()
    decide(open_review(task).pk, reviewer, Choice("accept"))
    work()
    assert scrape()["agentsite_tool_calls_in_doubt{tool=charge_and_time_out}"] == 1


def test_a_review_without_a_risk_has_a_label_all_the_same(scrape: Any) -> None:
    (task,) = many(1, "interrupted")
    Interrupt.objects.create(task=task, kind="question", graph_id="g", args_text="{}", verdict_text="{}")
    assert scrape()["agentsite_reviews_pending{risk=none}"] == 1


def test_workers_that_beat_are_alive(scrape: Any) -> None:
    WorkerProcess.objects.create(name="new")
    WorkerProcess.objects.create(name="old", beat_at=timezone.now() - timedelta(seconds=90))
    assert scrape()["agentsite_workers_alive"] == 1


def test_a_name_that_nobody_counts_any_more_is_left_out(scrape: Any) -> None:
    Measure.objects.create(name="agentsite_of_old_total", labels="[]", value=3)
    assert not [name for name in scrape() if "of_old" in name]


# What it costs


def test_the_number_of_queries_does_not_grow(scrape: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            scrape()
        return len(captured)

    few = queries()
    for status in ("queued", "pending", "running", "interrupted", "completed", "error", "cancelled"):
        waiting = many(30, status)
        Interrupt.objects.bulk_create(
            Interrupt(task=t, kind="in_doubt", tool=f"t{n}", graph_id="g", args_text="{}", verdict_text="{}")
            for n, t in enumerate(waiting)
        )
        ToolCall.objects.bulk_create(
            ToolCall(task=t, message_id="m", tool_call_id="c", tool="t", args_text="{}") for t in waiting
        )
    for number in range(50):
        metrics.count(metrics.TOOL_CALLS, f"t{number}", "succeeded")
    metrics.flush()
    assert queries() == few <= 10


def plan_of(sql: str) -> str:
    """Which way the database goes; PostgreSQL as it would in a table that is too large to be read whole."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE agents_task, agents_interrupt")
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"{'EXPLAIN QUERY PLAN' if connection.vendor == 'sqlite' else 'EXPLAIN'} {sql}")
        return str(cursor.fetchall())


def test_no_query_reads_the_finished_tasks(scrape: Any) -> None:
    many(300, "completed", counted=True)
    with CaptureQueriesContext(connection) as captured:
        scrape()
    asked = [query["sql"] for query in captured.captured_queries if 'FROM "agents_task"' in query["sql"]]
    assert len(asked) == 1
    plan = plan_of(asked[0])
    assert "task_uncounted" in plan or ("task_by_status" in plan and "IN (" in asked[0]), plan


def test_open_reviews_are_found_by_their_index(scrape: Any) -> None:
    with CaptureQueriesContext(connection) as captured:
        scrape()
    asked = [query["sql"] for query in captured.captured_queries if 'FROM "agents_interrupt"' in query["sql"]]
    assert len(asked) == 1
    plan = plan_of(asked[0])
    # The first two begin with the status, the third holds open reviews only.
    assert any(name in plan for name in ("interrupt_by_status", "interrupt_soonest", "interrupt_expiry")), plan


def test_counting_the_ended_reads_only_them(invoke: Any) -> None:
    many(300, "completed", counted=True)
    tasks.cancel(invoke("hello"))
    with CaptureQueriesContext(connection) as captured:
        metrics.count_ended()
    looked = next(query["sql"] for query in captured.captured_queries if query["sql"].startswith("SELECT"))
    assert "task_uncounted" in plan_of(looked)
