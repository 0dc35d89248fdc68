"""A receiver of webhooks on loopback, a mailbox, and no worker but the test itself."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail

from agents import broker
from agents.models import Interrupt
from notifications import delivery_threads
from notifications.models import Endpoint
from tests.support.helpers import open_review
from tests.support.receiver import Receiver, subscribed


@pytest.fixture
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs that were to wake a worker up."""
    names: list[str] = []
    monkeypatch.setattr(broker, "nudge", names.append)
    return names


@pytest.fixture(autouse=True)
def _quiet(nudged: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread delivers beside the test, and mail stays in memory."""
    monkeypatch.setattr(delivery_threads._couriers, "wake", lambda: None)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.PUBLIC_URL = "https://agents.example.com"
    mail.outbox = []


@pytest.fixture
def endpoint(db: Any, receiver: Receiver) -> Endpoint:
    made: Endpoint = Endpoint.objects.create(name="crm", url=receiver.url)
    return made


@pytest.fixture
def rita(reviewer: User) -> User:
    """A reviewer who is told of all by e-mail."""
    return subscribed(reviewer)


@pytest.fixture
def ask(invoke: Any, work: Any) -> Callable[..., Interrupt]:
    """A task that stops at a review."""
    numbers = iter(range(100))

    def asked(query: str = "book the Ritz for 2 nights", **more: Any) -> Interrupt:
        task = invoke(query, session=f"asked{next(numbers)}", **more)
        work()
        return open_review(task)

    return asked
