"""The environment of a test run, before Django reads its settings (pyproject.toml loads this with `-p`).

Data and broker of its own: a service that runs on this machine meanwhile neither takes the tests' jobs nor sees them.
"""

import os
import shutil
import tempfile
from collections.abc import Generator
from typing import Any

import pytest

MEMORY = "/dev/shm"  # where there is room, databases of tests are kept in memory: no promise is about a power cut
ROOMY = 4 << 30  # bytes


def in_memory() -> str | None:
    """Return the folder that is kept in memory, or None if there is no room."""
    return MEMORY if os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free > ROOMY else None


DATA = tempfile.mkdtemp(prefix="agentsite-test-", dir=in_memory())

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that are long by nature, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests that are long by nature to a run that asks for them."""
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Escape lone surrogates in captured output: pytest-xdist cannot send them from a worker to its controller."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what axe-core has found, by page and look; the tests in the browser hand it over as properties."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    properties = [
        pair for report in reports if getattr(report, "when", "") == "call" for pair in report.user_properties
    ]
    if rows := [value for name, value in properties if name == "axe"]:
        from tests.browser import axe  # noqa: PLC0415  # this plugin is loaded before Django's settings are read

        terminalreporter.section("axe-core: violations by page and look")
        terminalreporter.write("\n".join([*axe.table(rows), ""]))


def pytest_unconfigure() -> None:
    shutil.rmtree(DATA, ignore_errors=True)
