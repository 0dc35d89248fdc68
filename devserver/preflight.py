"""What has to be right before anything is started. Each check raises CannotStart with one line that says what to do."""

import ipaddress
import random
import socket
import tempfile
from contextlib import suppress
from pathlib import Path


class CannotStart(Exception):
    """The service can't be started like this; the message is for the person at the terminal."""


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str, *, debug: bool) -> None:
    """Keeps debug mode, which shows its insides to everybody, off the network."""
    if debug and not is_loopback(host):
        raise CannotStart(f"Other machines can reach {host}: set DEBUG=false and a SECRET_KEY before you listen there.")


def check_port(host: str, port: int) -> None:
    """Raises CannotStart when the port can't be had."""
    if not 0 < port < 65536:
        raise CannotStart(f"{port} is not a port: give one from 1 to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as candidate:
            # As the web server sets it: connections of an earlier run that still wind down are no obstacle.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotStart(f"Port {port} of {host} can't be used ({reason}): stop what uses it, or set PORT.") from error


def check_data_folder(folder: Path) -> None:
    """Raises CannotStart when no file can be made in the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotStart(f"Can't write to the data folder {folder} ({reason}): set AGENTSITE_DATA.") from error


def free_port(*, besides: int = 0) -> int:
    """A loopback port that nobody listens on, and not `besides`, which somebody is about to.

    Below the range that the system hands out to outgoing connections, so that a part finds it free at each restart.
    Any of them: two copies of the service that start at once are not to meet at the first.
    """
    for port in random.sample(range(21_000, 32_000), 1_000):
        with suppress(CannotStart):
            check_port("127.0.0.1", port)
            if port != besides:
                return port
    raise CannotStart("No free port between 21000 and 32000.")
