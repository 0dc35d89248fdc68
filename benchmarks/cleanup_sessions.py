"""Benchmark of `manage.py cleanup_sessions`: speed and peak memory with 10,000 and with 100,000 sessions.

    python benchmarks/cleanup_sessions.py                                    # SQLite in a temporary folder
    DATABASE_URL=postgres://… python benchmarks/cleanup_sessions.py          # a database that it may fill and empty

Each session has two tasks of about 2 KB; every fifth has a decided interrupt and a tool call, every tenth checkpoints.
If memory does not grow with the number of sessions, its ratio is near 1.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNTS = (10_000, 100_000)
COMMAND = ["manage.py", "cleanup_sessions", "--older-than", "30d"]


def main() -> None:
    """Fill the database, delete the sessions and print the figures, for each count."""
    with tempfile.TemporaryDirectory(prefix="agentsite-benchmark-") as folder:
        # Without DEBUG, because with it Django keeps every statement.
        os.environ |= {"DEBUG": "false", "SECRET_KEY": "x" * 50, "AGENTSITE_DATA": folder, "PYTHONPATH": str(ROOT)}
        os.environ["DJANGO_SETTINGS_MODULE"] = "agentsite.settings"
        manage("migrate", "--verbosity", "0")
        measured = []
        for count in COUNTS:
            manage("shell", "--verbosity", "0", "-c", f"from benchmarks.old_sessions import fill; fill({count})")
            seconds, megabytes = timed(COMMAND)
            measured.append((count / seconds, megabytes))
            print(
                f"{count:>7,} sessions: {seconds:6.1f} s, {count / seconds:6,.0f} sessions/s, {megabytes:4.0f} MB peak"
            )
        (small_rate, small_memory), (large_rate, large_memory) = measured
        print(f"100,000 to 10,000: speed × {large_rate / small_rate:.2f}, memory × {large_memory / small_memory:.2f}")


def manage(*arguments: str) -> None:
    """Run a management command."""
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, check=True)


def timed(arguments: list[str]) -> tuple[float, float]:
    """Run a process. Returns its seconds and its peak resident memory (MB). Raises SystemExit if it fails."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}")
    kilobytes = used.ru_maxrss / 1024 if sys.platform == "darwin" else used.ru_maxrss
    return time.monotonic() - started, kilobytes / 1024


if __name__ == "__main__":
    main()
