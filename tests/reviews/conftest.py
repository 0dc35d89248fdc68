"""Of the reviews' tests alone."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Interrupt
from tests.support.helpers import open_review


@pytest.fixture
def root(db: Any) -> User:
    return User.objects.create_superuser("root")


@pytest.fixture
def own(invoke: Any, work: Any, root: User) -> Interrupt:
    """A call that root asked for and that needs somebody else's decision."""
    task = invoke("email bob@example.com saying hello", user="root")
    work()
    return open_review(task)
