"""The setting DATABASES."""

import os
from pathlib import Path
from typing import Any

import environ

from agentsite.core.database import RECONNECT_SECONDS, begin_anew


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
        config["ENGINE"] = "agentsite.core.postgresql"
    options.setdefault("connect_timeout", 5)
    # A process that stands still inside a transaction, or a host that is gone, must not hold a lock for longer than its
    # lease: everybody who takes over would wait for it.
    options.setdefault("options", f"-c idle_in_transaction_session_timeout={int(lease * 500)}")
    for name, value in (("keepalives_idle", 10), ("keepalives_interval", 5), ("keepalives_count", 3)):
        options.setdefault(name, value)
    options["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL_SIZE", default=20),
        "timeout": 10,
        "reconnect_timeout": RECONNECT_SECONDS,
        "reconnect_failed": begin_anew,
    }
    return config
