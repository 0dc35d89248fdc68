"""Separate PostgreSQL, Redis, RabbitMQ and PgBouncer servers on free loopback ports, to be killed and started again."""

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
from urllib.parse import urlsplit


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


class RabbitMQ:
    """One RabbitMQ node in its own folder, with an epmd of its own, which Erlang's nodes find each other by."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder / "rabbitmq", free_port()
        self.folder.mkdir()
        (self.folder / "enabled_plugins").write_text("[].")
        epmd = ["epmd", "-port", str(port := free_port()), "-address", "127.0.0.1"]
        # Started here, because one that RabbitMQ starts lives on after it.
        self.epmd = subprocess.Popen(epmd, stderr=subprocess.DEVNULL, start_new_session=True)
        self.environment = self._environment(port)
        self.process = self._start()
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """URL for CELERY_BROKER_URL."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def restart(self, seconds: float, *, keep: bool) -> None:
        """Kill the server and start it again after `seconds`, with or without its data."""
        self.kill()
        if not keep:
            shutil.rmtree(self.folder / "data", ignore_errors=True)
        time.sleep(seconds)
        self.process = self._start()
        self.wait()

    def kill(self) -> None:
        """Kill the server's processes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Stop the server and its epmd."""
        self.kill()
        self.epmd.kill()
        self.epmd.wait()

    def wait(self, seconds: float = 60) -> None:
        """Wait until the server greets a client. Raises RuntimeError if it does not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=2) as client:
                client.sendall(b"AMQP\x00\x00\x09\x01")
                if client.recv(1):
                    return
            time.sleep(0.1)
        raise RuntimeError(f"RabbitMQ does not start: see {self.folder / 'log'}")

    def _environment(self, epmd_port: int) -> dict[str, str]:
        own = {
            "HOME": str(self.folder),  # of Erlang's cookie
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"agentsite{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",  # of the packaged service
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
        }
        return {**os.environ, **own}

    def _start(self) -> "subprocess.Popen[bytes]":
        # The packaged service's wrapper in the PATH runs as its own user and in its own folder.
        packaged = sorted(glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                [packaged[-1] if packaged else "rabbitmq-server"],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


class PgBouncer:
    """One PgBouncer in its own folder, in transaction mode, in front of the PostgreSQL of this URL.

    Under root it runs as `postgres`, because it refuses to run as root. It holds `size` connections at most for each
    database, so that clients take turns even in a small run.
    """

    def __init__(self, folder: Path, url: str, size: int = 4) -> None:
        self.folder, self.port, self.target = folder / "pgbouncer", free_port(), urlsplit(url)
        self.folder.mkdir()
        target = self.target
        login = f"user={target.username}" + (f" password={target.password}" if target.password else "")
        (self.folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={target.hostname} port={target.port or 5432} {login}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = transaction\ndefault_pool_size = {size}\nmax_client_conn = 500\n"
        )
        root = os.geteuid() == 0
        if root:
            shutil.chown(self.folder, "postgres")
        user = ["-u", "postgres"] if root else []
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") or "pgbouncer"
        with open(self.folder / "log", "ab") as log:
            command = [program, *user, str(self.folder / "pgbouncer.ini")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def url_of(self, url: str) -> str:
        """Return the URL by way of this PgBouncer."""
        parts = urlsplit(url)
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return parts._replace(netloc=f"{user}127.0.0.1:{self.port}").geturl()

    def stop(self) -> None:
        """Stop the server at once."""
        self.process.kill()
        self.process.wait()
