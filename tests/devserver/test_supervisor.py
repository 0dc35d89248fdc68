"""The supervisor with real processes: what it starts, restarts, stops, and leaves behind (nothing)."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devserver import preflight, supervisor
from devserver.preflight import CannotStart, check_data_folder, check_host, check_port, free_port
from devserver.supervisor import Part, Plan, Supervisor

ANSWERS_HTTP = """
import http.server, sys, time
time.sleep(0.5)
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
"""


def _as_from_a_terminal() -> None:
    # A test run in the background, or under nohup, passes on that these are ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Running:
    """A supervisor in a process of its own, and what it has printed so far."""

    def __init__(self, plan: Plan, log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", supervisor.__file__],
                stdin=subprocess.PIPE,
                stdout=output,
                text=True,
                preexec_fn=_as_from_a_terminal,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(plan.to_json())
        self.process.stdin.close()

    def lines(self, start: str = "") -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(start)]

    def pid_of(self, name: str, nth: int = 0) -> int:
        """The process id that the part printed when it started for the nth time."""
        prefix = f"{name:<7} | pid "
        until(lambda: len(self.lines(prefix)) > nth)
        return int(self.lines(prefix)[nth].removeprefix(prefix))

    def signal(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether the process runs; one that is dead and only waits to be reaped by init does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def part(name: str, script: str = "exec sleep 60", *, last: bool = False) -> Part:
    return Part(name, ["sh", "-c", f"echo pid $$; {script}"], last=last)


def on_sigterm(name: str, script: str, *, last: bool = False) -> Part:
    """A part that runs the script when it is told to stop, and goes on unless the script exits."""
    return Part(name, ["sh", "-c", f"trap '{script}' TERM; echo pid $$; while :; do sleep 0.1; done"], last=last)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*parts: Part, **options: object) -> Running:
        started.append(Running(Plan(list(parts), **options), tmp_path / f"log-{len(started)}"))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.signal(signal.SIGTERM)


def test_each_line_carries_the_name_of_its_part(run):
    running = run(part("web", "echo served; echo oops >&2; exec sleep 60"))
    until(lambda: running.lines("web     | oops"))
    assert running.lines("web     | served")


def test_a_line_without_an_end_is_shown_when_its_part_ends(run):
    running = run(part("web", "printf 'last words'"))
    until(lambda: running.lines("web     | last words"))


def test_a_part_that_dies_is_started_again_and_said_once(run):
    running = run(part("web"), part("worker"))
    os.kill(running.pid_of("worker"), signal.SIGKILL)
    assert lives(running.pid_of("worker", nth=1))
    assert running.lines("dev") == ["dev     | worker ended by signal SIGKILL; starting it again in 0.5 s"]
    assert len(running.lines("web")) == 1


def test_a_part_that_keeps_dying_is_started_ever_more_slowly(run):
    running = run(part("web", "exit 3"))
    until(lambda: len(running.lines("dev")) == 3)
    assert [line.rpartition(" in ")[2] for line in running.lines("dev")] == ["0.5 s", "1 s", "2 s"]


def test_the_pause_grows_to_ten_seconds_and_shrinks_after_a_steady_life():
    child = (watcher := Supervisor(Plan([part("web")]))).children[0]
    child.started = time.monotonic()
    pauses = []
    for _ in range(7):
        pauses.append(child.delay)
        watcher._put_off(child, "ended")
    assert pauses == [0.5, 1, 2, 4, 8, 10, 10]
    child.started -= supervisor.STEADY_AFTER
    watcher._put_off(child, "ended")
    assert child.delay == 1


def test_a_command_that_does_not_exist_is_tried_again_without_stopping_the_others(run):
    running = run(Part("web", ["/no/such/program"]), part("worker"))
    until(lambda: len(running.lines("dev     | web cannot start")) == 2)
    assert lives(running.pid_of("worker"))


def test_what_a_dead_part_left_behind_goes_before_it_starts_again(run):
    running = run(part("web", "sleep 60 & echo pid $!; wait"))
    parent, left_behind = running.pid_of("web"), running.pid_of("web", nth=1)
    os.kill(parent, signal.SIGKILL)
    running.pid_of("web", nth=2)
    assert not lives(left_behind)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_every_part(run, number):
    running = run(part("web"), part("worker"))
    pids = [running.pid_of("web"), running.pid_of("worker")]
    assert running.signal(number) == 0
    assert not any(map(lives, pids))


def test_a_part_that_others_need_stops_after_them(run):
    running = run(on_sigterm("model", "echo done; exit", last=True), on_sigterm("web", "sleep 0.5; echo done; exit"))
    running.pid_of("web"), running.pid_of("model")
    running.signal(signal.SIGTERM)
    assert [line.split()[0] for line in running.lines() if line.endswith("done")] == ["web", "model"]


def test_a_second_ctrl_c_kills_at_once(run):
    running = run(on_sigterm("web", ""))
    pid = running.pid_of("web")
    running.process.send_signal(signal.SIGINT)
    until(lambda: running.lines("dev     | stopping"))
    assert running.signal(signal.SIGINT) == 1
    assert not lives(pid)


def test_a_part_that_does_not_stop_is_killed_in_the_end(run):
    running = run(on_sigterm("web", ""), stop_seconds=0.2)
    pid = running.pid_of("web")
    assert running.signal(signal.SIGTERM) == 1
    assert not lives(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_no_part_outlives_a_supervisor_that_was_killed(run):
    running = run(part("web"), part("worker"))
    pids = [running.pid_of("web"), running.pid_of("worker")]
    assert running.signal(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: not any(map(lives, pids)))


def test_a_part_that_does_not_stop_is_killed_after_its_supervisor_was(run):
    running = run(on_sigterm("web", ""), stop_seconds=0.5)
    pid = running.pid_of("web")
    running.signal(signal.SIGKILL)
    until(lambda: not lives(pid))


def test_nothing_of_a_supervisor_is_left_when_it_has_stopped(run):
    running = run(part("web"))
    running.pid_of("web")
    family = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    running.signal(signal.SIGTERM)
    until(lambda: not any(lives(int(pid)) for pid in family))


def test_it_says_that_the_service_is_ready_when_it_answers_and_not_before(run):
    port = free_port()
    running = run(Part("web", [sys.executable, "-c", ANSWERS_HTTP, str(port)]), port=port, ready="READY")
    time.sleep(0.3)
    assert not running.lines("READY")
    until(lambda: running.lines("READY"))


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_it_stops_when_nobody_can_read_its_output_any_more(unbuffered):
    process = subprocess.Popen(
        [sys.executable, "-P", supervisor.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.write(Plan([part("web")]).to_json())
    process.stdin.close()
    assert process.wait(timeout=10) == 0


def test_it_holds_neither_django_nor_celery_nor_langchain_in_memory(run):
    running = run(part("web"))
    running.pid_of("web")
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident < 25_000  # kB; Django alone would double it


def test_a_busy_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CannotStart, match=rf"port {port} of 127\.0\.0\.1 .*in use"):
            check_port("127.0.0.1", port)


def test_a_free_port_is_not_the_one_that_is_about_to_be_used(monkeypatch):
    monkeypatch.setattr(preflight.random, "sample", lambda ports, count: [21_001, 21_002])
    monkeypatch.setattr(preflight, "check_port", lambda host, port: None)
    assert free_port(besides=21_001) == 21_002


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_number_that_is_no_port_is_refused(port):
    with pytest.raises(CannotStart, match="not a valid port"):
        check_port("127.0.0.1", port)


def test_a_data_folder_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotStart, match=r"file/data .*Not a directory"):
        check_data_folder(tmp_path / "file" / "data")


def test_a_data_folder_is_made_and_left_empty(tmp_path):
    check_data_folder(tmp_path / "new" / "data")
    assert list((tmp_path / "new" / "data").iterdir()) == []


def test_debug_mode_stays_off_the_network():
    check_host("127.0.0.1", debug=True)
    check_host("::1", debug=True)
    check_host("0.0.0.0", debug=False)
    with pytest.raises(CannotStart, match="DEBUG=false"):
        check_host("0.0.0.0", debug=True)
