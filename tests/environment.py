"""The environment of a test run, before Django reads its settings (pyproject.toml loads this with `-p`).

Data and broker of its own: a service that runs on this machine meanwhile neither takes the tests' jobs nor sees them.
"""

import os
import shutil
import tempfile
import zlib
from typing import Any

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


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Keep one part of the files where AGENTSITE_TEST_PART asks for it ("1/2"): parts run side by side in CI."""
    number, _, count = os.environ.get("AGENTSITE_TEST_PART", "").partition("/")
    if not count:
        return
    parts: dict[bool, list[Any]] = {True: [], False: []}
    for item in items:
        parts[zlib.crc32(item.nodeid.partition("::")[0].encode()) % int(count) == int(number) - 1].append(item)
    config.hook.pytest_deselected(items=parts[False])
    items[:] = parts[True]


def pytest_unconfigure() -> None:
    shutil.rmtree(DATA, ignore_errors=True)
