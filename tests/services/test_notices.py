"""A webhook all the way: the event, the job, a worker of its own, the receiver."""

import uuid
from typing import Any

import pytest
from standardwebhooks import Webhook

from notifications.models import Delivery, Endpoint
from tests.support.helpers import resume
from tests.support.processes import until
from tests.support.receiver import Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def told(receiver: Receiver, secret: str) -> list[str]:
    return [Webhook(secret).verify(got.body, got.headers)["type"] for got in receiver.got]


def test_a_worker_tells_the_receiver_of_the_whole_story(
    workers: Any, receiver: Receiver, invoke: Any, api: Any
) -> None:
    secret = Endpoint.objects.create(name="crm", url=receiver.url).secret
    workers.start(WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8")
    task = invoke("book the Ritz for 2 nights")
    until(lambda: told(receiver, secret) == ["review.new"])
    resume(api, task)
    until(lambda: Delivery.objects.filter(status="sent").count() == 3)
    assert sorted(told(receiver, secret)) == ["review.decided", "review.new", "task.completed"]


def test_what_no_job_told_of_is_found_by_the_sweeper(workers: Any, receiver: Receiver, invoke: Any, api: Any) -> None:
    endpoint = Endpoint.objects.create(name="crm", url=receiver.url)
    Delivery.objects.create(event="test", object_id=uuid.uuid4(), endpoint=endpoint, body='{"type":"test"}')
    workers.start(WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8")
    until(lambda: told(receiver, endpoint.secret) == ["test"])
