"""The service itself, as a WSGI server runs it, on a port of this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from typing_extensions import override

from agentsite.wsgi import application


class Quiet(WSGIRequestHandler):
    """Thousands of lines about requests would hide the one that matters."""

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[str]:
    """The URL of the service; its threads have connections of their own to the test database."""
    with ThreadedWSGIServer(("127.0.0.1", 0), Quiet) as server:
        server.set_app(application)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
