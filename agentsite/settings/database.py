"""The database: SQLite in the data folder, or the one in DATABASE_URL."""

import os
from typing import Any

import environ

from agentsite.settings.base import DATA_DIR, env
from core.db import connections

TASK_LEASE_SECONDS = env.float("TASK_LEASE_SECONDS", default=30.0)
DATABASE_URL = env.str("DATABASE_URL", default="")
# "transaction": a pooler in front of PostgreSQL gives a connection to another client after each transaction. Then
# nothing may be kept in a session of the server: no start-up options, no cursors, no prepared statements.
DATABASE_POOLER = env.str("DATABASE_POOLER", default="")
# Seconds that a request waits for one answer from PostgreSQL; 0: no limit. A worker's runs wait for at least the length
# of a lease, tools and management commands without a limit.
DATABASE_ANSWER_SECONDS = env.float("DATABASE_ANSWER_SECONDS", default=10.0)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Seconds, seconds and a number: on an idle connection, a peer that has vanished is detected after 25 s.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_UNACKNOWLEDGED = 10_000  # milliseconds after which unacknowledged data ends a connection


def _database() -> dict[str, Any]:
    """Build the config from DATABASE_URL, else for a SQLite file in the data folder.

    On PostgreSQL, a connection that idles in a transaction is ended after half of a lease.
    """
    file = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / "agentsite.sqlite3")}
    config: dict[str, Any] = dict(environ.Env.db_url_config(DATABASE_URL)) if DATABASE_URL else file
    options = config.setdefault("OPTIONS", {})
    if config["ENGINE"].endswith("sqlite3"):
        # IMMEDIATE takes the write lock at BEGIN. Without it, two readers that both start to write fail with "locked".
        options |= {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        }
        # A file also in tests, because worker processes and checkpoint connections must see the same database.
        config["TEST"] = {"NAME": str(DATA_DIR / f"test-{os.getpid()}.sqlite3")}
        return config
    if config["ENGINE"] == "django.db.backends.postgresql":
        config["ENGINE"] = "core.db.postgresql"
    options.setdefault("connect_timeout", 5)
    # A process that hangs inside a transaction, or a host that is gone, must not hold a lock for longer than its lease,
    # because the worker that takes over would wait for the lock.
    # The server gets the same keepalive settings as the client.
    server = {
        "idle_in_transaction_session_timeout": int(TASK_LEASE_SECONDS * 500),
        **{f"tcp_{k}": v for k, v in _KEEPALIVE.items()},
    }
    if DATABASE_POOLER:
        config["DISABLE_SERVER_SIDE_CURSORS"] = True  # docs/explanation/performance.md says what the role needs
    else:
        options |= {"server_side_binding": True, "prepare_threshold": 5}  # planned once per connection
        options.setdefault("options", " ".join(f"-c {name}={value}" for name, value in server.items()))
    for name, value in (*_KEEPALIVE.items(), ("tcp_user_timeout", _UNACKNOWLEDGED)):
        options.setdefault(name, value)
    options["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL_SIZE", default=20),
        "reconnect_timeout": connections.RECONNECT_SECONDS,
        "reconnect_failed": connections.begin_anew,
    }
    return config


DATABASES = {"default": _database()}
