"""Health check of the web server or a worker in this container, reported by the exit status.

Run as a plain file (`python -P agentsite/server/healthcheck.py web`), without Django: Docker starts it every 30 s, and
a Django command would take a second of CPU each time. It needs neither curl nor a shell.
"""

import http.client
import os
import socket
import sys
from collections.abc import Mapping

import psycopg

TIMEOUT = 4  # seconds
ALIVE = 60  # seconds since the worker's last heartbeat; as in agentsite/api/readiness.py
BEATS = "SELECT 1 FROM agents_workerprocess WHERE starts_with(name, %s) AND beat_at > now() - make_interval(secs => %s)"


class Unhealthy(Exception):
    """The checked process is not alive. The message is for the container's health log."""


def host_of(environ: Mapping[str, str]) -> str:
    """Return the first of ALLOWED_HOSTS, because a request with any other host name gets a 400."""
    name = environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().removeprefix(".")
    return "localhost" if name in ("", "*") else name


def web(environ: Mapping[str, str]) -> None:
    """Request /health. Raises Unhealthy, OSError or HTTPException unless the response is a 200."""
    connection = http.client.HTTPConnection("127.0.0.1", int(environ.get("PORT") or 8000), timeout=TIMEOUT)
    connection.request("GET", "/health", headers={"Host": host_of(environ)})
    status = connection.getresponse().status
    if status != 200:
        raise Unhealthy(f"/health returned the status {status}.")


def worker(environ: Mapping[str, str]) -> None:
    """Look for a recent heartbeat of a worker process on this host. Raises Unhealthy or psycopg.Error."""
    with psycopg.connect(environ.get("DATABASE_URL", ""), connect_timeout=TIMEOUT) as database:
        if database.execute(BEATS, (f"{socket.gethostname()}:", ALIVE)).fetchone() is None:
            raise Unhealthy(f"No worker process on this host has sent a heartbeat in the last {ALIVE} s.")


CHECKS = {"web": web, "worker": worker}


def main(argv: list[str]) -> int:
    """Return 0 when the part named on the command line is alive, 1 when it is not, 2 for any other arguments."""
    if len(argv) != 1 or argv[0] not in CHECKS:
        print(f"Specify one of: {', '.join(CHECKS)}.")
        return 2
    try:
        CHECKS[argv[0]](os.environ)
    except (Unhealthy, OSError, http.client.HTTPException, psycopg.Error) as error:
        print(f"{argv[0]}: {str(error).strip() or type(error).__name__}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
