"""The database: SQLite in the data folder, or what DATABASE_URL names."""

import os
from pathlib import Path
from typing import Any

import environ

from agentsite.settings.base import DATA_DIR, env
from core.db.connections import RECONNECT_SECONDS, begin_anew

# Seconds, seconds and a number: a peer that has gone without a word is found out after 25 s where nothing is sent.
KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
UNACKNOWLEDGED = 10_000  # milliseconds after which data that nobody has acknowledged ends a connection


def database(env: environ.Env, folder: Path, lease: float) -> dict[str, Any]:
    """What `DATABASE_URL` says, else a file in the folder; `lease` in seconds is how long a lock may be of use."""
    url = env.str("DATABASE_URL", default="")
    file = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "agentsite.sqlite3")}
    config: dict[str, Any] = dict(environ.Env.db_url_config(url)) if url else file
    options = config.setdefault("OPTIONS", {})
    if config["ENGINE"].endswith("sqlite3"):
        # IMMEDIATE takes the write lock at BEGIN: without it two readers that both want to write end in "locked".
        options |= {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        }
        # A file also in tests: worker processes and the checkpoint connections have to see the same database.
        config["TEST"] = {"NAME": str(folder / f"test-{os.getpid()}.sqlite3")}
        return config
    if config["ENGINE"] == "django.db.backends.postgresql":
        config["ENGINE"] = "core.db.postgresql"
    options.setdefault("connect_timeout", 5)
    # A process that stands still inside a transaction, or a host that is gone, must not hold a lock for longer than its
    # lease: everybody who takes over would wait for it.
    # The server looks after its own side of a connection, as the client does after the other.
    server = {"idle_in_transaction_session_timeout": int(lease * 500), **{f"tcp_{k}": v for k, v in KEEPALIVE.items()}}
    options.setdefault("options", " ".join(f"-c {name}={value}" for name, value in server.items()))
    for name, value in (*KEEPALIVE.items(), ("tcp_user_timeout", UNACKNOWLEDGED)):
        options.setdefault(name, value)
    options["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL_SIZE", default=20),
        "reconnect_timeout": RECONNECT_SECONDS,
        "reconnect_failed": begin_anew,
    }
    return config


TASK_LEASE_SECONDS = env.float("TASK_LEASE_SECONDS", default=30.0)
DATABASE_URL = env.str("DATABASE_URL", default="")
# Seconds for which a request waits for one answer of PostgreSQL; 0 is no limit. A worker's runs wait for a lease at
# least, tools and management commands without a limit.
DATABASE_ANSWER_SECONDS = env.float("DATABASE_ANSWER_SECONDS", default=10.0)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": database(env, DATA_DIR, TASK_LEASE_SECONDS)}
