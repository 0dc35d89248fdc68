"""Checks before anything is started. Each raises CannotStart with a one-line message that says what to do."""

import ipaddress
import random
import socket
import tempfile
from contextlib import suppress
from pathlib import Path


class CannotStart(Exception):
    """The service can't be started like this; the message is for the person at the terminal."""


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str, *, debug: bool) -> None:
    """Raise CannotStart for debug mode on a reachable address, because debug pages show internals to everyone."""
    if debug and not is_loopback(host):
        raise CannotStart(f"Other machines can reach {host}. To listen on it, set DEBUG=false and SECRET_KEY.")


def check_port(host: str, port: int) -> None:
    """Raise CannotStart when the port can't be used."""
    if not 0 < port < 65536:
        raise CannotStart(f"{port} is not a valid port. Use a number from 1 to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as candidate:
            # Same option as the web server, so that closing connections of an earlier run are no obstacle.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotStart(
            f"Can't use port {port} of {host} ({reason}). Stop the program that uses it, or set PORT."
        ) from error


def check_data_folder(folder: Path) -> None:
    """Raise CannotStart when no file can be created in the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotStart(
            f"Can't write to the data folder {folder} ({reason}). Set AGENTSITE_DATA to a writable folder."
        ) from error


def free_port(*, besides: int = 0) -> int:
    """Return a free loopback port other than `besides`, which another part will use.

    The port is below the system's range for outgoing connections, so that it stays free while a part restarts. It is
    chosen at random, so that two copies of the service that start at the same time do not pick the same one.
    Raises CannotStart when no port is free.
    """
    for port in random.sample(range(21_000, 32_000), 1_000):
        with suppress(CannotStart):
            check_port("127.0.0.1", port)
            if port != besides:
                return port
    raise CannotStart("There is no free port between 21000 and 32000.")
