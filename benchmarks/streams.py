"""Streams: how soon the first words arrive, and what many open streams cost.

    python benchmarks/streams.py [--streams 1000] [--runs 40] [--sqlite]

Starts its own PostgreSQL and Redis (with --sqlite none), web server and worker as the documentation starts them, and a
model that streams. Exits with 1 if a figure is not what docs/how-to/streams.md promises.
"""

import argparse
import asyncio
import http.server
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.harness.servers import free_port  # noqa: E402
from benchmarks.speed.load import Client  # noqa: E402
from benchmarks.speed.processes import memory_mb, wait_until  # noqa: E402
from benchmarks.speed.stack import Stack  # noqa: E402

WORDS, BETWEEN = 40, 0.01  # of an answer, and seconds between two of them
POSTS = 150
FIRST_WORD = {"PostgreSQL and Redis": 50.0, "SQLite and files": 300.0}  # milliseconds, median
MEMORY = 300.0  # MB
SLOWER = 1.5

first_words: dict[str, float] = {}  # monotonic time by question


class Model(http.server.BaseHTTPRequestHandler):
    """An endpoint that streams an answer word by word, and notes when it sent the first one."""

    protocol_version = "HTTP/1.1"

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer a chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        if not body.get("stream"):
            message = {"role": "assistant", "content": "unstreamed"}
            text = json.dumps({"choices": [{"message": message, "finish_reason": "stop", "index": 0}]}).encode()
            self._head("application/json", len(text))
            self.wfile.write(text)
            return
        self._head("text/event-stream")
        for number in range(WORDS):
            delta = {"content": f"word{number} "}
            chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            first_words.setdefault(question, time.monotonic())
            self._send(f"data: {json.dumps(chunk)}\n\n")
            time.sleep(BETWEEN)
        self._send('data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, kind: str, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header(*(("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))))
        self.end_headers()

    def _send(self, text: str) -> None:
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
        self.wfile.flush()


@contextmanager
def model() -> Iterator[str]:
    """Serve the model. Yields its URL."""
    port = free_port()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{port}/v1"
    server.shutdown()


class Watching(threading.Thread):
    """Reads the stream of a session and notes when the first piece of each message came, by its task."""

    def __init__(self, url: str, key: str, path: str) -> None:
        super().__init__(daemon=True)
        self.client, self.path = Client(url, key), path
        self.client.connection.timeout = 120
        self.first: dict[str, float] = {}
        self.ended: set[str] = set()
        self.start()

    @override
    def run(self) -> None:
        """Read on and on."""
        self.client.connection.request("GET", self.path, headers=self.client.headers)
        answer = self.client.connection.getresponse()
        kind = ""
        while line := answer.readline():
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                data = json.loads(line[6:])
                if kind == "chunk":
                    self.first.setdefault(data["task_id"], time.monotonic())
                elif kind == "status" and data["data"]["status"] == "completed":
                    self.ended.add(data["task_id"])


def first_word(url: str, key: str, runs: int) -> list[float]:
    """Return for each run the milliseconds from the model's first word until the client has it."""
    client = Client(url, key)
    ids = {"user_id": "ann", "session_id": "s"}
    client.ask("POST", "/agent/session", ids)
    watching = Watching(url, key, "/agent/session/ann/s/stream")
    time.sleep(1)
    for number in range(runs + 3):  # the first ones warm everything up
        client.ask("POST", "/agent/invoke", {**ids, "task_id": f"t{number}", "query": f"question {number}"})
        wait_until(partial(watching.ended.__contains__, f"t{number}"), 60, "a task does not end", every=0.005)
    found = [(watching.first.get(f"t{n}"), first_words.get(f"question {n}")) for n in range(3, runs + 3)]
    return [(got - sent) * 1000 for got, sent in found if got is not None and sent is not None]


def posts(url: str, key: str) -> float:
    """Return the median milliseconds of a submission."""
    client, times = Client(url, key), []
    for number in range(POSTS):
        began = time.monotonic()
        client.ask("POST", "/agent/invoke", {"user_id": f"u{number % 50}", "query": "x"})
        times.append(time.monotonic() - began)
    return statistics.median(times) * 1000


def open_files(pid: int) -> int:
    """Return how many files and connections the web server's processes have open."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in (str(pid), *children))


async def hold(url: str, key: str, paths: list[str], then: Any) -> Any:
    """Open all streams, do something meanwhile, and close them. Returns what it gave."""
    host, port = urlsplit(url).netloc.split(":")
    writers = []
    for path in paths:
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        writer.write(f"{head}X-Forwarded-Proto: https\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n".encode())
        assert b" 200 " in await reader.readline()
        await reader.readuntil(b"retry: 1000")
        writers.append(writer)
    found = await asyncio.to_thread(then)
    for writer in writers:
        writer.close()
    return found


def many(url: str, key: str, web: Any, streams: int) -> tuple[str, bool]:
    """Return what many open streams cost, and whether it is as promised."""
    client = Client(url, key)
    for number in range(100):
        ids = {"user_id": f"w{number}", "session_id": "s", "task_id": "t"}
        client.ask("POST", "/agent/invoke", {**ids, "query": "x"})
    without, files, memory = posts(url, key), open_files(web.pid), memory_mb(web.pid)
    paths = [f"/agent/stream/w{number % 100}/s/t" for number in range(streams)]
    within, more, used = asyncio.run(
        hold(url, key, paths, lambda: (posts(url, key), open_files(web.pid), memory_mb(web.pid)))
    )
    wait_until(lambda: open_files(web.pid) <= files + 20, 60, "closed streams leave files open")
    left = open_files(web.pid) - files
    text = (
        f"{streams} open streams: {used - memory:.0f} MB more in the web process, {used:.0f} (bound {MEMORY:.0f}); "
        f"POST {without:.1f} ms without them, {within:.1f} ms beside them (x {within / without:.2f}, bound {SLOWER}); "
        f"{more - files} files and connections more, {left} of them left after closing"
    )
    return text, used <= MEMORY and within / without <= SLOWER


def main() -> int:
    """Run the benchmark. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--sqlite", action="store_true")
    given = parser.parse_args()
    name = "SQLite and files" if given.sqlite else "PostgreSQL and Redis"
    limits = {
        "RATE_SERVICE": "",
        "RATE_USER": "",
        "TASKS_IN_FLIGHT_PER_USER": "0",
        "TASKS_IN_FLIGHT_PER_PRINCIPAL": "0",
    }
    with tempfile.TemporaryDirectory() as folder, ExitStack() as exits:
        stack = Stack(Path(folder), 1, exits, with_files=given.sqlite)
        stack.model_url = exits.enter_context(model())
        key = stack.keys[1 if given.sqlite else 0]
        url, web = exits.enter_context(stack.web(sqlite=given.sqlite, options=limits))
        with stack.worker({"BENCH_SLEEP": "1", **limits}, sqlite=given.sqlite):
            times = first_word(url, key, given.runs)
        median, late = statistics.median(times), sorted(times)[int(len(times) * 0.95)]
        bound = FIRST_WORD[name]
        print(
            f"{name}: first word at the client after the model's own, {len(times)} runs: median {median:.0f} ms, "
            f"p95 {late:.0f} ms (bound {bound:.0f})",
            flush=True,
        )
        text, is_fine = many(url, key, web, given.streams)
        print(f"{name}: {text}", flush=True)
    return 0 if is_fine and median <= bound and len(times) == given.runs else 1


if __name__ == "__main__":
    sys.exit(main())
