"""Separate PostgreSQL and Redis servers on free loopback ports, to be killed and started again."""

import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from glob import glob
from pathlib import Path


def free_port() -> int:
    """Return a free loopback port below the range of outgoing connections."""
    while True:
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port := random.randrange(20_000, 32_000)))
            except OSError:
                continue
            return port


class PostgreSQL:
    """One cluster in its own folder. Under root it runs as `postgres`, because PostgreSQL refuses to run as root.

    `options` are those of the program `postgres`.
    """

    def __init__(self, folder: Path, options: Sequence[str] = ("-c", "max_connections=300")) -> None:
        self.folder, self.port, self.options = folder / "postgres", free_port(), options
        self.folder.mkdir()
        folder.chmod(0o711)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", self.data, "-U", "chaos", "-A", "trust", "-E", "UTF8", "--no-sync")
        try:
            self.start()
        except BaseException:  # also Ctrl-C: a server that has begun to start would stay
            with suppress(subprocess.CalledProcessError):
                self.stop()
            raise

    @property
    def data(self) -> str:
        """Folder of the cluster."""
        return str(self.folder / "data")

    @property
    def url(self) -> str:
        """URL for DATABASE_URL."""
        return self.url_of("chaos", "postgres")

    @property
    def pid(self) -> int:
        """Process id of the server, whose children answer the clients."""
        return int(Path(self.data, "postmaster.pid").read_text().split()[0])

    def url_of(self, role: str, database: str) -> str:
        """Return the URL of a database for one role."""
        return f"postgres://{role}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        own = ("-p", str(self.port), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1")
        options = shlex.join([*own, *self.options])
        self._run("pg_ctl", "-D", self.data, "-l", str(self.folder / "log"), "-w", "-s", "start", "-o", options)

    def stop(self) -> None:
        """Stop the server as in a crash: open transactions are lost, committed ones are not."""
        self._run("pg_ctl", "-D", self.data, "-s", "-m", "immediate", "stop")

    def restart(self, seconds: float) -> None:
        """Crash the server and start it again after `seconds`."""
        self.stop()
        time.sleep(seconds)
        self.start()

    def _run(self, program: str, *args: str) -> None:
        found = shutil.which(program) if program == "initdb" else None
        path = found or sorted(glob(f"/usr/lib/postgresql/*/bin/{program}"))[-1]
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run([*user, path, *args], check=True, cwd="/", stdout=subprocess.DEVNULL)


class Redis:
    """One Redis in its own folder. `options` are those of the program `redis-server`."""

    def __init__(self, folder: Path, options: Sequence[str] = ("--appendonly", "yes", "--save", "")) -> None:
        self.folder, self.port, self.options = folder / "redis", free_port(), options
        self.folder.mkdir()
        self.process = self._start()

    @property
    def url(self) -> str:
        """URL for REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def restart(self, seconds: float, *, keep: bool) -> None:
        """Stop the server and start it again after `seconds`, with or without its data."""
        self.process.send_signal(signal.SIGTERM if keep else signal.SIGKILL)
        self.process.wait()
        if not keep:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
        time.sleep(seconds)
        self.process = self._start()

    def stop(self) -> None:
        """Stop the server."""
        self.process.terminate()
        self.process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        quiet = subprocess.DEVNULL
        # In a session of its own, so that Ctrl-C does not take it away from those who still need it.
        return subprocess.Popen([*command, *self.options], stdout=quiet, stderr=quiet, start_new_session=True)
