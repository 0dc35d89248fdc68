"""The page of docs/how-to/clients.md, in a browser, from another origin than the service."""

import http.server
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from typing_extensions import override

from agents.models import Task
from agentsite.accounts import create_key
from tests.support import node
from tests.support.processes import ROOT, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not (node.NODE or node.IS_REQUIRED), reason=node.MISSING),
]

HOW_TO = ROOT / "docs" / "how-to" / "clients.md"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Logs nothing."""

    @override
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    """Where the page and the client are served from."""
    folder = tmp_path / "page"
    folder.mkdir()
    page = re.search(r"<!-- page -->\n```html\n(.*?)^```$", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)
    assert page is not None
    (folder / "index.html").write_text(page[1])
    node.scripts(folder / "agentsite-client", ROOT / "client" / "typescript" / "src")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def shown(browser: Any, origin: str) -> Iterator[Any]:
    page = browser.new_page()
    page.goto(origin)
    yield page
    page.close()


def ask(page: Any, service: str, user: User, query: str) -> None:
    for name, value in {"service": service, "key": create_key(user, "page"), "query": query}.items():
        page.fill(f"input[name={name}]", value)
    page.click("button")


def test_it_shows_a_task_to_its_end(
    shown: Any, origin: str, live_server: Any, ann: User, work: Callable[[], None], settings: Any
) -> None:
    settings.CORS_ALLOWED_ORIGINS = [origin]
    ask(shown, live_server.url, ann, "multiply 6 by 7")
    until(Task.objects.exists)
    work()
    shown.wait_for_selector("li:has-text('completed')")
    lines = shown.locator("li").all_text_contents()
    assert lines[0] == "human: multiply 6 by 7"
    assert lines[-2].startswith("ai: ")
    assert "42" in lines[-2]


def test_control_another_origin_gets_nothing(shown: Any, live_server: Any, ann: User) -> None:
    """The browser lets nothing through; the page says so once the client has lost its patience."""
    shown.clock.install()
    ask(shown, live_server.url, ann, "multiply 6 by 7")
    for _ in range(20):
        shown.clock.run_for(10_000)
        shown.wait_for_timeout(20)
        if shown.locator("li").count():
            break
    assert "Unreachable" in shown.locator("li").first.text_content()
    assert not Task.objects.exists()
