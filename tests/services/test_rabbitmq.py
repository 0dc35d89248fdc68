"""RabbitMQ as the broker (CELERY_BROKER_URL): a real one, killed and started again, in front of real workers."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, current_app
from django.conf import settings as django_settings

from agents import broker
from agents.models import Attempt, Interrupt, Task, ToolCall
from agentsite import celery_app
from agentsite.api import readiness
from benchmarks.harness.servers import RabbitMQ
from reviews.decisions.services import Choice, decide
from tests.support.helpers import again, answer_of, open_review
from tests.support.oracle import calls
from tests.support.processes import until
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.rabbitmq_server]


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    server = RabbitMQ(tmp_path_factory.mktemp("rabbit"))
    yield server
    server.stop()


@pytest.fixture
def on_rabbit(rabbit: RabbitMQ) -> Iterator[Any]:
    """Publish to this RabbitMQ, as a web process does that has CELERY_BROKER_URL; or to what is in front of it."""

    def use(port: int, kind: str = "classic") -> None:
        app = Celery("elsewhere", broker=f"amqp://guest:guest@127.0.0.1:{port}//", set_as_current=False)
        app.conf.broker_transport_options = django_settings.AMQP_TRANSPORT_OPTIONS
        app.conf.broker_connection_timeout, app.conf.task_default_queue_type = 3, kind
        app.set_current()

    use(rabbit.port)
    try:
        with current_app.connection_for_write() as connection:  # one of the pool may have died in an earlier test
            current_app.control.purge(connection)
        yield use
    finally:
        celery_app.set_current()


def becomes(task: Task, status: str) -> Task:
    until(lambda: again(task).status == status, 60)
    return again(task)


def test_tasks_run_and_go_on_after_the_broker_was_killed(
    invoke: Any, workers: Any, rabbit: RabbitMQ, on_rabbit: Any, reviewer: Any
) -> None:
    worker = workers.start(CELERY_BROKER_URL=rabbit.url)
    asking = becomes(invoke('call charge with {"amount": 3}'), "interrupted")
    under_way = invoke('call wait with {"seconds": 4}', session="under-way")
    becomes(under_way, "running")
    rabbit.kill()
    without = invoke("multiply 6 by 7", session="without")
    decide(open_review(asking).pk, reviewer, Choice("accept"))
    assert not readiness._broker_answers()
    rabbit.restart(0, keep=True)
    started = time.monotonic()
    for task in (asking, under_way, without):
        becomes(task, "completed")
    assert time.monotonic() - started < 20
    assert "42" in answer_of(invoke_and_wait(invoke, "multiply 6 by 7"))
    assert (calls(), Attempt.objects.filter(task=under_way).count(), worker.poll()) == (["charge 3"], 1, None)
    assert readiness._broker_answers()


def invoke_and_wait(invoke: Any, query: str) -> Task:
    return becomes(invoke(query, session=str(time.monotonic_ns())), "completed")


def test_a_killed_workers_task_is_taken_over_and_its_call_not_run_again(
    invoke: Any, workers: Any, rabbit: RabbitMQ, on_rabbit: Any, reviewer: Any
) -> None:
    worker = workers.start(CELERY_BROKER_URL=rabbit.url)
    task = becomes(invoke('call charge_and_die with {"amount": 3}'), "interrupted")
    decide(open_review(task).pk, reviewer, Choice("accept"))
    assert worker.wait(60) == -signal.SIGKILL
    workers.start(CELERY_BROKER_URL=rabbit.url)
    until(lambda: Interrupt.objects.filter(task=task, kind="in_doubt", status="pending").exists(), 60)
    assert calls() == ["charge_and_die 3"]


def test_a_busy_worker_keeps_one_job_from_the_others(
    invoke: Any, workers: Any, rabbit: RabbitMQ, on_rabbit: Any
) -> None:
    # Long enough until lost jobs are published again: the copies would be counted.
    workers.start(CELERY_BROKER_URL=rabbit.url, WORKER_CONCURRENCY="1", TASK_REPUBLISH_SECONDS="60")
    busy = invoke('call wait with {"seconds": 5}')
    until(lambda: ToolCall.objects.filter(task=busy).exists(), 60)
    others = [invoke("multiply 6 by 7", session=f"other{number}") for number in range(3)]
    time.sleep(1)
    assert broker.waiting() == 2
    for task in others:
        becomes(task, "completed")
    assert broker.waiting() == 0


def test_the_queue_may_be_one_that_several_nodes_hold(
    invoke: Any, workers: Any, rabbit: RabbitMQ, on_rabbit: Any
) -> None:
    with current_app.connection_for_write() as connection:
        connection.default_channel.queue_delete("celery")
        on_rabbit(rabbit.port, "quorum")
        workers.start(CELERY_BROKER_URL=rabbit.url, RABBITMQ_QUEUE_TYPE="quorum")
        for _ in range(3):
            invoke_and_wait(invoke, "multiply 6 by 7")
        assert broker.waiting() == 0
        connection.default_channel.queue_delete("celery")


def test_a_network_that_swallows_costs_a_submission_seconds_and_ends_no_worker(
    invoke: Any, workers: Any, rabbit: RabbitMQ, on_rabbit: Any
) -> None:
    proxy = Proxy(rabbit.port)
    on_rabbit(proxy.port)
    worker = workers.start(CELERY_BROKER_URL=f"amqp://guest:guest@127.0.0.1:{proxy.port}//")
    invoke_and_wait(invoke, "multiply 6 by 7")
    proxy.swallow()
    started = time.monotonic()
    waiting = invoke("multiply 6 by 7", session="s2")
    assert time.monotonic() - started < 15
    assert waiting.published_at.year == 2000, "so the sweeper publishes it in any case"
    started = time.monotonic()
    assert not broker.publish(waiting.pk)
    assert time.monotonic() - started < 1
    until(lambda: "no jobs are taken now" in workers.log(), 40)
    proxy.forward()
    started = time.monotonic()
    assert "42" in answer_of(becomes(waiting, "completed"))
    assert time.monotonic() - started < 20
    assert worker.poll() is None
    proxy.end()
