"""Clients of a benchmark, in a process of their own so that they take no GIL from what is measured.

    python -m benchmarks.speed.load SEED KEY

Threads with one kept connection each. A client that waits for its task looks for it as often as a careful application
would: after FIRST, then after GROWTH times the time before, at most every LONGEST, and the same in every round.
"""

import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.speed.processes import answer_commands

FIRST, LONGEST = 0.05, 0.5  # seconds between two looks at a task: twice a second is what docs/how-to/limits.md expects
GROWTH = 1.5
JITTER = 0.2  # share by which a wait is longer or shorter, so that clients do not walk in step
PATIENCE = 120.0  # seconds for one task
USERS = 1000  # more than the limits on one user's submissions need
AHEAD = 64  # clients of an open loop

Ids = tuple[str, str, str]  # of user, session and task


class Client:
    """One connection. As behind a proxy that terminates TLS."""

    def __init__(self, url: str, key: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self.headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "127.0.0.1",
        }

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the JSON answer. Raises RuntimeError for an error."""
        data = None if body is None else json.dumps(body).encode()
        self.connection.request(method, path, data, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        found: dict[str, Any] = json.loads(text)
        return found


class Load:
    """All commands. Remembers the ids of tasks that have completed, and of rows of the bare site."""

    def __init__(self, seed: int, key: str) -> None:
        self.chance, self.seed, self.key = random.Random(seed), seed, key
        self.lock = threading.Lock()
        self.number = 0
        self.known: dict[str, list[Ids]] = {}

    def closed(self, url: str, runs: int, clients: int) -> dict[str, Any]:
        """Submit tasks, each client the next one when it has seen the end of the last. Times are in seconds."""
        ways: list[float] = []
        numbers = iter(range(runs))

        def work(client: Client) -> None:
            while self._next(numbers) is not None:
                begun = time.monotonic()
                self._run(client, url)
                ways.append(time.monotonic() - begun)

        return {"seconds": self._together(url, clients, work), "ways": ways}

    def open(self, url: str, runs: int, rate: float) -> dict[str, Any]:
        """Submit tasks at a fixed rate, whether others have ended or not. A way counts from its appointed time."""
        ways: list[float] = []
        numbers = iter(range(runs))
        start = time.monotonic() + 0.5

        def work(client: Client) -> None:
            while (number := self._next(numbers)) is not None:
                appointed = start + number / rate
                time.sleep(max(0.0, appointed - time.monotonic()))
                self._run(client, url)
                ways.append(time.monotonic() - appointed)

        return {"seconds": self._together(url, AHEAD, work), "ways": ways}

    def requests(self, url: str, what: str, seconds: float, clients: int) -> dict[str, Any]:
        """Send one kind of request (submit, status, insert, read) for some seconds. Returns how many were answered."""
        kinds: dict[str, Callable[[Client], Any]] = {
            "submit": lambda client: self._submit(client, "default"),
            "status": lambda client: client.ask("GET", "/agent/status/" + "/".join(self._any(url))),
            "insert": lambda client: self._insert(client, url),
            "read": lambda client: client.ask("GET", "/notes/" + "/".join(self._any(url))),
        }
        deadline = time.monotonic() + seconds
        answered: list[int] = []

        def work(client: Client) -> None:
            count = 0
            while time.monotonic() < deadline:
                kinds[what](client)
                count += 1
            answered.append(count)

        return {"seconds": self._together(url, clients, work), "answered": sum(answered)}

    def submit(self, url: str, tasks: int, clients: int, agent: str) -> dict[str, Any]:
        """Submit tasks without waiting for them. Returns their ids too."""
        numbers = iter(range(tasks))
        submitted: list[Ids] = []

        def work(client: Client) -> None:
            while self._next(numbers) is not None:
                submitted.append(self._submit(client, agent))

        return {"seconds": self._together(url, clients, work), "tasks": submitted}

    def look(self, url: str, tasks: list[Ids]) -> None:
        """Look once at each task. Raises RuntimeError if one has not completed."""
        with self._client(url) as client:
            for ids in tasks:
                answer = client.ask("GET", "/agent/status/" + "/".join(ids))
                if answer["status"] != "completed":
                    raise RuntimeError(f"not completed: {answer}")

    def approve(self, url: str, runs: int, started: str) -> dict[str, Any]:
        """Approve calls, one after the other. Returns the seconds from the request until the tool has started."""
        times = []
        for _ in range(runs):
            with self._client(url) as client:
                user, session, task = self._submit(client, "approval")
                self._wait(client, (user, session, task), "interrupted")
                clicked = time.time()
                ids = {"user_id": user, "session_id": session, "task_id": task}
                client.ask("POST", "/agent/resume", {**ids, "response_type": "accept"})
                self._wait(client, (user, session, task), "completed")
                times.append(float(Path(started).read_text()) - clicked)
        return {"times": times}

    def forget(self) -> None:
        """Forget all ids, because the rows are gone."""
        self.known.clear()

    def _run(self, client: Client, url: str) -> None:
        ids = self._submit(client, "default")
        answer = self._wait(client, ids, "completed")
        if "42" not in json.dumps(answer["last_response"]):
            raise RuntimeError(f"wrong answer: {answer}")
        self._remember(url, ids)

    def _submit(self, client: Client, agent: str) -> Ids:
        body = self._body()
        client.ask("POST", "/agent/invoke", {**body, "agent": agent})
        return body["user_id"], body["session_id"], body["task_id"]

    def _insert(self, client: Client, url: str) -> None:
        body = self._body()
        client.ask("POST", "/notes", body)
        self._remember(url, (body["user_id"], body["session_id"], body["task_id"]))

    def _wait(self, client: Client, ids: Ids, status: str) -> dict[str, Any]:
        """Look for the task until it has this status. Raises RuntimeError for another end, or none."""
        pause, deadline = FIRST, time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(pause * random.uniform(1 - JITTER, 1 + JITTER))
            answer = client.ask("GET", "/agent/status/" + "/".join(ids))
            if answer["status"] == status:
                return answer
            if answer["status"] not in ("pending", "running", "interrupted"):
                break
            pause = min(pause * GROWTH, LONGEST)
        raise RuntimeError(f"not {status} within {PATIENCE:.0f} s: {answer}")

    def _body(self) -> dict[str, str]:
        with self.lock:
            self.number += 1
            number = self.number
        user, session = f"user{number % USERS}", f"s{self.seed}-{number}"
        return {"user_id": user, "session_id": session, "task_id": f"t{number}", "query": f"multiply 6 by 7 ({number})"}

    def _any(self, url: str) -> Ids:
        with self.lock:
            return self.chance.choice(self.known[url])

    def _remember(self, url: str, ids: Ids) -> None:
        with self.lock:
            self.known.setdefault(url, []).append(ids)

    def _next(self, numbers: Iterator[int]) -> int | None:
        with self.lock:
            return next(numbers, None)

    @contextmanager
    def _client(self, url: str) -> Iterator[Client]:
        client = Client(url, self.key)
        with closing(client.connection):
            yield client

    def _together(self, url: str, clients: int, work: Callable[[Client], None]) -> float:
        """Do the work in threads. Returns the seconds until all have ended. Raises the first error of any."""
        errors: list[BaseException] = []

        def one() -> None:
            try:
                with self._client(url) as client:
                    work(client)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=one) for _ in range(clients)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return time.monotonic() - begun


def main(seed: str, key: str) -> None:
    """Answer commands."""
    load = Load(int(seed), key)
    names = ("closed", "open", "requests", "submit", "look", "approve", "forget")
    answer_commands({name: getattr(load, name) for name in names})


if __name__ == "__main__":
    main(*sys.argv[1:])
