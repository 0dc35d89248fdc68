"""HTTP server of the rule model."""

import ipaddress
import json
import socket
import socketserver
import sys
import threading
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from demo.model_server import conversation, misbehaviours, oddities, replies, streaming
from demo.model_server.misbehaviours import Misbehaviours
from demo.model_server.replies import Answer, as_json

POLL_SECONDS = 0.1  # interval at which the server checks whether to stop
REMEMBERED = 20  # latest requests that `received` keeps
METHODS = {"/v1/chat/completions": "POST", "/v1/models": "GET"}


def serve(port: int = 0, host: str = "127.0.0.1") -> "RuleModel":
    """Start a rule model in a thread of its own and return it; port 0 takes any free port.

    Stop it with `stop()` or use it as a context manager: `with serve() as server: … server.url …`.
    Raises ValueError unless the host is a loopback address, OSError if the port is unavailable.
    """
    server = RuleModel(host, port)
    server.start()
    return server


class RuleModel(ThreadingHTTPServer):
    """Server of the rule model, created by `serve`."""

    request_queue_size = 128  # connections not yet accepted; the default of 5 refuses bursts

    def __init__(self, host: str, port: int) -> None:
        host = _loopback(host)
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.stopping = threading.Event()
        self.misbehaviours = Misbehaviours(self.stopping)
        self.pause = 0.0  # seconds between the deltas of a stream
        self.received: deque[Any] = deque(maxlen=REMEMBERED)  # requests for completions, for tests
        self._connections: set[Any] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(POLL_SECONDS,), daemon=True)
        super().__init__((host, port), Handler)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/v1"

    def start(self) -> None:
        """Start answering requests."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the requests in progress, also on connections that clients keep open."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            with suppress(OSError):  # the client has already closed it
                connection.shutdown(socket.SHUT_RD)
        self._thread.join()

    @override
    def __enter__(self) -> "RuleModel":
        return self

    @override
    def __exit__(self, *_: object) -> None:
        self.stop()

    @override
    def server_bind(self) -> None:
        """Bind without HTTPServer's lookup of the host's name, which can take seconds if DNS is broken."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        """Record the connection for `stop`, then process the request."""
        self._connections.add(request)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Request handler, one per connection."""

    server: RuleModel
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a kept-alive connection waits 40 ms for the client's acknowledgement
    wbufsize = -1  # buffered; flushed after each answer and each chunk

    def answer(self) -> None:
        """Answer any request. Reads the body first, so that the next request on the connection is found."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isascii() or not length.isdigit():
            self.close_connection = True
            return self._send(as_json(411, replies.error("The request needs a Content-Length.")))
        body = self.rfile.read(int(length))
        if self.server.stopping.is_set():  # Linux delivers what arrives even after `stop` has shut the reading side
            self.close_connection = True
            return None
        path = self.path.partition("?")[0]
        method = METHODS.get(path)
        if method is None:
            return self._send(as_json(404, replies.error(f"Unknown URL: {self.command} {path}", "unknown_url")))
        if self.command != method:
            text = f"Not allowed to {self.command} on {path} (only {method})."
            return self._send(as_json(405, replies.error(text, "method_not_supported"), Allow=method))
        if method == "GET":
            return self._send(as_json(200, replies.models()))
        return self._complete(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    @override
    def log_message(self, *_: object) -> None:
        """Write no access log, because the service uses the same terminal."""

    def _complete(self, body: bytes) -> None:
        try:
            request = json.loads(body)
            self.server.received.append(request)
            asked = conversation.read(request)
        except conversation.BadRequest as error:
            return self._send(as_json(400, replies.error(str(error))))
        except (ValueError, RecursionError):
            return self._send(as_json(400, replies.error("We could not parse the JSON body of your request.")))
        wrong = self.server.misbehaviours.of(request)
        if wrong is not None:
            return self._send(wrong)
        completion = replies.completion(request, replies.reply_to(asked))
        answer = self.server.misbehaviours.change(request, completion)
        if answer is None:
            return self._send(misbehaviours.unknown(request["model"]))
        if request.get("stream"):
            return self._stream(request, answer)
        return self._send(Answer(200, oddities.encoded(answer)))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def _stream(self, request: dict[str, Any], completion: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        for chunk in streaming.chunks(completion, with_usage=with_usage):
            self._write_chunk(b"data: %b\n\n" % oddities.encoded(chunk))
            self.server.stopping.wait(self.server.pause)
        self._write_chunk(b"data: [DONE]\n\n")
        self._write_chunk(b"")

    def _write_chunk(self, data: bytes) -> None:
        """Write one chunk (RFC 9112, section 7.1). An empty one ends the response."""
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()


def _loopback(host: str) -> str:
    """Return the host's address. Raises ValueError unless it is loopback, because the server checks no key."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass  # a host name, or an empty text
    raise ValueError(f"The demo model doesn't check keys, so it only listens on loopback addresses, not on {host!r}.")
