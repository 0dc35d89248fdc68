"""The environment of a test run, before Django reads its settings (pyproject.toml loads this with `-p`).

Data and broker of its own: a service that runs on this machine meanwhile neither takes the tests' jobs nor sees them.
"""

import gc
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import certifi
import pytest

MEMORY = "/dev/shm"  # where there is room, databases of tests are kept in memory: no promise is about a power cut
ROOMY = 4 << 30  # bytes


def in_memory() -> str | None:
    """Return the folder that is kept in memory, or None if there is no room."""
    return MEMORY if os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free > ROOMY else None


def trusted(folder: str) -> str:
    """Write a file with the first certificate that certifi trusts, and return its path.

    No test speaks to a public endpoint, and each client of a model would spend 20 ms on reading all the certificates.
    """
    end = "-----END CERTIFICATE-----\n"
    first, _, _ = Path(certifi.where()).read_text().partition(end)
    file = Path(folder, "certificate.pem")
    file.write_text(first + end)
    return str(file)


DATA = tempfile.mkdtemp(prefix="agentsite-test-", dir=in_memory())

os.environ["DEBUG"] = "true"
os.environ["AGENTSITE_DATA"] = DATA
os.environ["SSL_CERT_FILE"] = trusted(DATA)
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
    "PYTHONDONTWRITEBYTECODE",  # some machines set it: each of a hundred processes would compile the whole code
):
    os.environ.pop(name, None)
sys.dont_write_bytecode = False
gc.disable()  # what is imported and collected stays: there is nothing to look for until the first test


TESTS = Path(__file__).parent
ONCE = pytest.StashKey[list[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that are long by nature, too")
    parser.addoption("--database-only", action="store_true", help="leave out what tests/once.txt lists")


def once() -> list[Path]:
    """Return what the database has no part in. Raises UsageError if a line names nothing, as after a test has moved."""
    lines = (TESTS / "once.txt").read_text().splitlines()
    paths = [TESTS / line for line in lines if line and not line.startswith("#")]
    if missing := [str(path) for path in paths if not path.exists()]:
        raise pytest.UsageError(f"tests/once.txt: there is no {', '.join(missing)}")
    return paths


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ONCE] = once()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Don't even import what runs once, in a run that is about the database."""
    return True if config.getoption("--database-only") and collection_path in config.stash[ONCE] else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests that are long by nature to a run that asks for them, and let the slow ones begin."""
    left_out = [item for item in items if not wanted(item, long=config.getoption("--long"))]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    items[:] = slow_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def wanted(item: pytest.Item, *, long: bool) -> bool:
    """Tell whether a test is part of this run. `long("postgresql")` is for the database that is the stricter one."""
    marker = item.get_closest_marker("long")
    if marker is None:
        return True
    return long and (not marker.args or ("postgresql" if os.environ.get("DATABASE_URL") else "sqlite") in marker.args)


def slow_first(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """Return the tests with each process's share of the slow ones first: at the end, none waits alone for a long one.

    pytest-xdist's `worksteal` begins with an equal part of the list for each process.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    ordered: list[pytest.Item] = []
    for left in range(processes, 0, -1):
        some = len(slow) // left
        more = (len(slow) + len(quick)) // left - some
        ordered += slow[:some] + quick[:more]
        slow, quick = slow[some:], quick[more:]
    return ordered


def pytest_collection(session: pytest.Session) -> None:
    """Import the test modules, each process of pytest-xdist from another one on.

    pytest rewrites the assertions of a module that it has not met and keeps the bytecode. That takes most of a first
    collection, and processes that go through the modules in step would all do the same work at the same time.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker or session.config.args != [str(TESTS.name)]:
        return
    once_only = session.config.stash[ONCE]
    left_out = set(once_only) if session.config.getoption("--database-only") else set()
    modules = [path for path in sorted(TESTS.rglob("test_*.py")) if not left_out & {path, *path.parents}]
    first = len(modules) * int(worker.removeprefix("gw")) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    for path in modules[first:] + modules[:first]:
        with suppress(Exception):  # the collection comes to the same error, and shows it
            importlib.import_module(".".join(path.relative_to(TESTS.parent).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """Let garbage be collected from here on, but seldom, and only among what the tests make.

    By default Python looks for it after each 700 objects, and every so often among the million that the imports have
    made: that took a tenth of a run.
    """
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


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
