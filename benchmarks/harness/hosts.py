"""Hosts of a network that exists only for one benchmark: network namespaces, with a virtual cable to this process's.

Nothing is left behind: a namespace has no name and ends with its last process. Needs root (CAP_NET_ADMIN) and the
programs `ip`, `unshare` and `nsenter`.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.speed.processes import Child

HERE = "10.231.77.254"  # address of the servers, in this process's namespace
NETWORK = "10.231.77.0/24"
INSIDE = "AGENTSITE_BENCHMARK_INSIDE"  # set in the namespace that `enter` makes


def enter() -> None:
    """Start this program again in a network namespace of its own, which has HERE as an address."""
    if not os.environ.get(INSIDE):
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", "--uts", sys.executable, *sys.argv])
    ip("link", "set", "lo", "up")
    ip("address", "add", f"{HERE}/32", "dev", "lo")


def ip(*args: str) -> None:
    """Run the program `ip` in this process's namespace."""
    subprocess.run(["ip", *args], check=True)


class Host:
    """A host with a name, an address and a cable to this process's namespace, which can be pulled out."""

    def __init__(self, name: str, number: int, folder: Path) -> None:
        self.name, self.folder = name, folder / name
        self.folder.mkdir()
        gateway, self.address = (f"10.231.77.{4 * number + last}" for last in (1, 2))
        self.link = f"to-{name}"
        holder = ["unshare", "--net", "--uts", "sleep", "infinity"]
        self.holder = subprocess.Popen(holder, start_new_session=True)
        self._wait_for_namespace()
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        ip("address", "add", f"{gateway}/30", "dev", self.link)
        ip("link", "set", self.link, "up")
        self.run("hostname", name)
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{self.address}/30", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "route", "add", "default", "via", gateway)

    def run(self, *command: str) -> None:
        """Run a command on this host and wait for its end."""
        subprocess.run([*self._enter(), *command], check=True)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a process on this host."""
        own = {**environment, "AGENTSITE_DATA": str(self.folder / "data")}
        return Child(name, [*self._enter(), *command], self.folder, own)

    def plug(self, state: str) -> None:
        """Pull the cable out (`down`) or put it in again (`up`). Packets are lost, and nobody is told."""
        ip("link", "set", self.link, state)

    def stop(self) -> None:
        """End the host. Its processes have to be stopped before."""
        self.holder.kill()
        self.holder.wait()

    def _enter(self) -> list[str]:
        return ["nsenter", "--net", "--uts", "--target", str(self.holder.pid)]

    def _wait_for_namespace(self) -> None:
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == own:
            self.holder.poll()
