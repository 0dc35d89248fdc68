"""Everything that a benchmark starts: PostgreSQL, Redis, a model, and the service as its documentation starts it."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
import redis
import yaml

from benchmarks.harness.servers import PostgreSQL, Redis, free_port
from benchmarks.speed import counts
from benchmarks.speed.processes import ROOT, Child, Peer, run, wait_until

STARTS = 90.0  # seconds for a process to start
ROLES = ("web", "worker", "bare")  # of PostgreSQL, so that statements can be told apart
SERVICE, BARE = "service", "bare"  # databases
BARE_TABLE = """
    CREATE TABLE bare_note (
        id bigserial PRIMARY KEY, user_id varchar(128) NOT NULL, session_id varchar(128) NOT NULL,
        task_id varchar(128) NOT NULL, query text NOT NULL
    );
    CREATE INDEX ON bare_note (user_id, session_id, task_id);
"""


def gunicorn(application: str, port: int) -> list[str]:
    """Return the image's command line of the web server, for this application and port."""
    command = re.search(r"^CMD (\[.*?\])$", (ROOT / "Dockerfile").read_text().replace("\\\n", ""), re.MULTILINE)
    assert command is not None
    given = {"agentsite.wsgi": application, "0.0.0.0:8000": f"127.0.0.1:{port}"}
    return [sys.executable, "-m", *(given.get(word, word) for word in json.loads(command[1]))]


def composed(service: str) -> list[str]:
    """Return the command line of a service in compose.yaml."""
    found: list[str] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"][service]["command"]
    return found


def figures_of(model_url: str) -> dict[str, int]:
    """Return what the model has counted."""
    with urlopen(f"{model_url}/figures", timeout=10) as answer:
        found: dict[str, int] = json.load(answer)
    return found


@dataclass
class Stack:
    """The servers, the databases with the key of a client in each, and the clients."""

    folder: Path
    seed: int
    exits: ExitStack
    with_files: bool  # whether the service is measured on SQLite, too
    model: Child = field(init=False)
    load: Peer = field(init=False)

    def __post_init__(self) -> None:
        """Start the servers, and make the databases."""
        preloaded = counts.PRELOADED if counts.is_available() else ()
        self.postgres = PostgreSQL(self.folder, [*composed("postgres")[1:], *preloaded])
        self.exits.callback(self.postgres.stop)
        words = composed("redis")[1:]
        self.redis = Redis(self.folder, words[: words.index("--requirepass")])
        self.exits.callback(self.redis.stop)
        port = free_port()
        self.model_url = f"http://127.0.0.1:{port}/v1"
        self.model = self.child("model", [sys.executable, "-m", "benchmarks.speed.model_server", str(port)], {})
        with self.admin("postgres") as connection:
            for role in ROLES:
                connection.execute(f"CREATE ROLE {role} LOGIN SUPERUSER")
            for name in (SERVICE, BARE):
                connection.execute(f"CREATE DATABASE {name}")
        with self.admin(BARE) as connection:
            connection.execute(BARE_TABLE)
        with ThreadPoolExecutor() as both:
            urls = (self.postgres.url_of("chaos", SERVICE), *([None] if self.with_files else []))
            self.keys = list(both.map(prepared, map(self.service_environment, urls)))
        self.load = self.peer("load", str(self.seed), self.keys[0])

    def child(self, name: str, command: list[str], environment: Mapping[str, str]) -> Child:
        """Start a process that is stopped at the end."""
        child = Child(name, command, self.folder, {**plain_environment(), **environment})
        self.exits.callback(child.stop)
        return child

    def peer(self, module: str, *args: str) -> Peer:
        """Start a process that answers commands, and is stopped at the end."""
        peer = Peer(module, args, self.folder, plain_environment())
        self.exits.callback(peer.stop)
        return peer

    @contextmanager
    def admin(self, database: str) -> "Iterator[psycopg.Connection[Any]]":
        """Open a connection that may do anything."""
        with psycopg.connect(self.postgres.url_of("chaos", database), autocommit=True) as connection:
            yield connection

    def service_environment(self, database_url: str | None) -> dict[str, str]:
        """Return the settings of a production: on these servers or, without a database, on SQLite and files."""
        data = self.folder / ("data" if database_url else "data-sqlite")
        given = {
            **plain_environment(),
            "DJANGO_SETTINGS_MODULE": "benchmarks.speed.service_settings",
            "SECRET_KEY": "bench" * 10,
            "ALLOWED_HOSTS": "127.0.0.1",
            "BEHIND_PROXY": "true",
            "AGENTSITE_DATA": str(data),
            "OPENAI_BASE_URL": self.model_url,
            "OPENAI_API_KEY": "bench",
            "AGENT_MODEL": "openai:canned",
            "BENCH_STARTED": str(self.folder / "started"),
        }
        return {**given, "DATABASE_URL": database_url, "REDIS_URL": self.redis.url} if database_url else given

    @contextmanager
    def web(
        self,
        application: str = "agentsite.wsgi",
        *,
        sqlite: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> "Iterator[tuple[str, Child]]":
        """Run a web server, with its defaults or with these variables. Yields its URL and process."""
        url = None if sqlite else self.postgres.url_of("web", SERVICE)
        given = {**self.service_environment(url), **(options or {})}
        if application != "agentsite.wsgi":
            given = {**plain_environment(), "BARE_DATABASE_URL": self.postgres.url_of("bare", BARE)}
        port = free_port()
        child = Child(f"web-{application}-{port}", gunicorn(application, port), self.folder, given)
        with ExitStack() as exits:
            exits.callback(child.stop)
            wait_until(lambda: listens(child, port), STARTS, f"{child.name} does not start")
            yield f"http://127.0.0.1:{port}", child

    @contextmanager
    def worker(self, options: Mapping[str, str] | None = None, *, sqlite: bool = False) -> Iterator[Child]:
        """Run a worker with its defaults, or with these variables."""
        given = self.service_environment(None if sqlite else self.postgres.url_of("worker", SERVICE))
        child = Child("worker", [sys.executable, "-m", *composed("worker")], self.folder, {**given, **(options or {})})
        with ExitStack() as exits:
            exits.callback(child.kill)  # what it still does is of no interest
            yield child

    def use_files(self) -> None:
        """Let the clients turn to the service on SQLite."""
        self.load.stop()
        self.load = self.peer("load", str(self.seed), self.keys[1])

    def clear(self) -> None:
        """Remove all tasks and jobs."""
        with self.admin(SERVICE) as connection:
            tables = ["agents_session", "agents_event", "agents_modelcall"]
            tables += ["checkpoints", "checkpoint_blobs", "checkpoint_writes"]
            connection.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        redis.Redis(port=self.redis.port).flushall()
        self.load.ask(10, do="forget")


def plain_environment() -> dict[str, str]:
    """Return an environment without settings, so that all have their defaults."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def prepared(environment: Mapping[str, str]) -> str:
    """Migrate the database. Returns the key of a service account."""
    run([sys.executable, "manage.py", "migrate", "--noinput", "-v0"], environment)
    return run([sys.executable, "manage.py", "create_api_key", "bench", "--create", "--service"], environment).strip()


def listens(child: Child, port: int) -> bool:
    """Return whether the web server answers. Any answer is one."""
    child.require_alive()
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
    except OSError as error:
        return hasattr(error, "code")
