"""The environment of a test run, before Django reads its settings (pyproject.toml loads this with `-p`).

Data and broker of its own: a service that runs on this machine meanwhile neither takes the tests' jobs nor sees them.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

DATA = tempfile.mkdtemp(prefix="agentsite-test-")

os.environ["DEBUG"] = "true"
os.environ["AGENTSITE_DATA"] = DATA
os.environ["REDIS_PREFIX"] = f"{os.path.basename(DATA)}:"
for name in ("RATE_PRINCIPAL", "RATE_USER", "RATE_ANONYMOUS"):
    os.environ[name] = ""  # hundreds of tests a minute are one client; those about rates set their own
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # playwright's sync API runs an event loop in the test's thread
for name in (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
    "AGENT_MODEL",
    "AGENT_TOOLS",
    "EMAIL_URL",
    "SECRET_KEY",
):
    os.environ.pop(name, None)
if (worker := os.environ.get("PYTEST_XDIST_WORKER", "")) and os.environ.get("REDIS_URL"):
    # A database of Redis for each process of the tests, as pytest-django makes one of PostgreSQL for each.
    os.environ["REDIS_URL"] = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{worker.removeprefix('gw')}").geturl()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Escape lone surrogates in captured output: pytest-xdist cannot send them from a worker to its controller."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_unconfigure() -> None:
    shutil.rmtree(DATA, ignore_errors=True)
