"""Separate PostgreSQL and Redis servers on free loopback ports, to be killed and started again."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
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
    """One cluster in its own folder. Under root it runs as `postgres`, because PostgreSQL refuses to run as root."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder / "postgres", free_port()
        self.folder.mkdir()
        folder.chmod(0o711)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", self.data, "-U", "chaos", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    @property
    def data(self) -> str:
        """Folder of the cluster."""
        return str(self.folder / "data")

    @property
    def url(self) -> str:
        """URL for DATABASE_URL."""
        return f"postgres://chaos@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c max_connections=300"
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
    """One Redis in its own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder / "redis", free_port()
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
        command += ["--appendonly", "yes", "--save", ""]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
