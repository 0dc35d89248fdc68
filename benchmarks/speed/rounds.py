"""Blocks of the service and bare ones in turns, with what their processes have used."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.speed.processes import cpu_seconds

One = TypeVar("One")
Other = TypeVar("Other")


@dataclass(frozen=True)
class Block:
    """What one block has done and used."""

    count: int  # of runs or requests
    seconds: float
    cpu: dict[str, float]  # seconds, by process

    @property
    def rate(self) -> float:
        """Runs or requests a second."""
        return self.count / self.seconds

    def milliseconds(self, process: str) -> float:
        """Return the CPU of a process for one run or request."""
        return self.cpu[process] * 1000 / self.count

    def share(self, process: str) -> float:
        """Return the CPU of a process as a percentage of one core."""
        return self.cpu[process] * 100 / self.seconds


def measured(pids: Mapping[str, int], work: Callable[[], tuple[int, float]]) -> Block:
    """Return what `work` has done (count and seconds), and the CPU that the processes have used meanwhile."""
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    count, seconds = work()
    return Block(count, seconds, {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()})


def in_turns(rounds: int, service: Callable[[], One], bare: Callable[[], Other]) -> list[tuple[One, Other]]:
    """Return the pairs of as many rounds. Which of the two comes first changes, so that neither gains by a trend."""
    pairs: list[tuple[One, Other]] = []
    for number in range(rounds):
        if number % 2:
            second = bare()
            pairs.append((service(), second))
        else:
            first = service()
            pairs.append((first, bare()))
        time.sleep(0.2)
    return pairs
