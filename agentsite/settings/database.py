"""The database: SQLite in the data folder, or the one in DATABASE_URL."""

import os
from pathlib import Path
from typing import Any

import environ

from agentsite.settings.base import DATA_DIR, env
from core.db.connections import RECONNECT_SECONDS, begin_anew

# Seconds, seconds and a number: on an idle connection, a peer that has vanished is detected after 25 s.
KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
UNACKNOWLEDGED = 10_000  # milliseconds after which unacknowledged data ends a connection


def database(env: environ.Env, folder: Path, lease: float) -> dict[str, Any]:
    """Build the config from `DATABASE_URL`, else for a SQLite file in the folder.

    On PostgreSQL, a connection that idles in a transaction is ended after half of `lease` (in seconds).
    """
    url = env.str("DATABASE_URL", default="")
    file = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "agentsite.sqlite3")}
    config: dict[str, Any] = dict(environ.Env.db_url_config(url)) if url else file
    options = config.setdefault("OPTIONS", {})
    if config["ENGINE"].endswith("sqlite3"):
        # IMMEDIATE takes the write lock at BEGIN. Without it, two readers that both start to write fail with "locked".
        options |= {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        }
        # A file also in tests, because worker processes and checkpoint connections must see the same database.
        config["TEST"] = {"NAME": str(folder / f"test-{os.getpid()}.sqlite3")}
        return config
    if config["ENGINE"] == "django.db.backends.postgresql":
        config["ENGINE"] = "core.db.postgresql"
    options.setdefault("connect_timeout", 5)
    # A process that hangs inside a transaction, or a host that is gone, must not hold a lock for longer than its lease,
    # because the worker that takes over would wait for the lock.
    # The server gets the same keepalive settings as the client.
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
# Seconds that a request waits for one answer from PostgreSQL; 0: no limit. A worker's runs wait for at least the length
# of a lease, tools and management commands without a limit.
DATABASE_ANSWER_SECONDS = env.float("DATABASE_ANSWER_SECONDS", default=10.0)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": database(env, DATA_DIR, TASK_LEASE_SECONDS)}
