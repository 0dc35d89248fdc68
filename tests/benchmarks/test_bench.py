"""The pure parts of `make bench`. `make bench ARGS=--quick` sees that the rest runs."""

import os
import sys
import time
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from benchmarks.speed import counts, model_server, options, processes, rounds, stack, table
from benchmarks.speed.full_way import cpu_row, runs_row
from benchmarks.speed.rounds import Block
from benchmarks.speed.table import Bound, Figure, Row


def block(count: int, seconds: float, **cpu: float) -> Block:
    return Block(count, seconds, cpu)


def test_a_ratio_is_that_of_pairs_measured_side_by_side() -> None:
    # The medians of each side alone would say 1.0: the machine became four times as fast in between.
    assert table.ratios([(1, 2), (4, 4), (16, 8)]) == Figure(1.0, 0.5, 2.0)
    assert table.ratios([(1, 2), (2, 4), (4, 8)]) == Figure(0.5, 0.5, 0.5)


def test_the_median_of_an_even_number_of_rounds_lies_between_two() -> None:
    assert table.summary([4, 1, 2, 3]) == Figure(2.5, 1, 4)


@pytest.mark.parametrize(
    ("share", "found"), [(0.5, 50), (0.95, 95), (0.951, 96), (0.99, 99), (1.0, 100), (0.001, 1), (0.0, 1)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, found: int) -> None:
    assert table.percentile(range(100, 0, -1), share) == found


def test_the_percentiles_of_a_single_value_are_that_value() -> None:
    assert [table.percentile([7.0], share) for share in (0.5, 0.99)] == [7.0, 7.0]


@pytest.mark.parametrize(
    ("figure", "at_least", "mark"),
    [(0.6, True, "PASS"), (0.59, True, "–"), (0.61, True, "PASS"), (0.6, False, "PASS"), (0.61, False, "–")],
)
def test_a_figure_passes_at_its_bound(figure: float, at_least: bool, mark: str) -> None:
    row = Row("x", Figure(figure, 0, 9), bound=Bound(0.6, 1.0, at_least))
    assert row.mark == mark


def test_the_median_counts_and_not_the_best_round() -> None:
    assert Row("x", Figure(2.0, 1.0, 3.0), bound=Bound(1.5, 1.0)).mark == "–"


def test_nothing_is_required_of_a_report_or_of_a_run_of_another_size() -> None:
    assert Row("x", Figure(9, 9, 9)).mark == ""
    assert Row("x", Figure(9, 9, 9), bound=Bound(1, 1), applies=False).mark == ""


def test_the_table_has_aligned_columns() -> None:
    text = table.render(
        [
            Row("full way", Figure(0.214, 0.19, 0.24), "×", "5.80 runs/s", "27 runs/s", Bound(0.6, 1, at_least=True)),
            Row("CPU of the web server a run", Figure(28, 28, 28), "ms", about="submission and polls"),
        ]
    )
    head, rule, first, second = text.splitlines()
    assert head.split() == list(table.HEAD)
    assert set(rule) == {"-", " "}
    assert first.split("  ")[0] == "full way"
    for text in ("× 0.21", "0.19 to 0.24", "≥ 0.60", "≥ 1.00", "–"):
        assert text in first
    assert second.index("submission") == head.index("about")
    assert first.index("–") == head.index("mark")
    assert first.index("27 runs/s") + len("27 runs/s") == head.index("bare") + len("bare")


@pytest.mark.parametrize(("value", "text"), [(0.214, "0.21"), (9.999, "10.00"), (12.34, "12.3"), (1234.5, "1,234")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert table.number(value) == text


def test_rows_of_pairs_show_both_sides() -> None:
    pairs = [(block(100, 10, worker=5), block(100, 5, worker=2.5)), (block(100, 20, worker=5), block(100, 5, worker=5))]
    way = runs_row(pairs, Bound(0.6, 1, at_least=True), "")
    assert (way.service, way.bare, way.figure) == ("7.50 runs/s", "20.0 runs/s", Figure(0.375, 0.25, 0.5))
    cpu = cpu_row(pairs, "CPU", "worker", Bound(1.6, 1.3))
    assert (cpu.service, cpu.bare, cpu.figure) == ("50.0 ms a run", "37.5 ms a run", Figure(1.5, 1.0, 2.0))
    assert (way.mark, cpu.mark) == ("–", "PASS")


def test_both_sides_are_measured_in_turns() -> None:
    order: list[str] = []

    def side(name: str) -> str:
        order.append(name)
        return name

    pairs = rounds.in_turns(3, lambda: side("service"), lambda: side("bare"))
    assert pairs == [("service", "bare")] * 3
    assert order == ["service", "bare", "bare", "service", "service", "bare"]


def test_cpu_counts_children_that_have_ended_too(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    parent = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {burn!r}])\ntime.sleep(60)"
    child = processes.Child("burner", [sys.executable, "-c", parent], tmp_path, dict(os.environ))
    try:
        processes.wait_until(lambda: processes.cpu_seconds(child.pid) >= 0.3, 60, "no CPU")
        time.sleep(0.2)
        assert processes.family(child.pid) == [child.pid]  # or the child's CPU was that of a living one
        assert processes.cpu_seconds(child.pid) >= 0.3
        assert processes.memory_mb(child.pid) > 1
    finally:
        child.kill()
    assert processes.cpu_seconds(child.pid) == 0


@pytest.mark.parametrize(
    ("role", "query", "kind"),
    [
        ("worker", "BEGIN", "control"),
        ("web", "COMMIT", "control"),
        ("web", 'SELECT "agents_task"."id" FROM "agents_task"', "web"),
        ("worker", 'UPDATE "agents_attempt" SET "ended_at" = $1', "worker"),
        ("worker", 'UPDATE "agents_task" SET "last_checkpoint" = $1', "worker"),
        ("worker", "INSERT INTO checkpoint_writes (thread_id) VALUES ($1)", "checkpoints"),
        ("worker", "SELECT 1 FROM agents_attempt WHERE id = $1 FOR NO KEY UPDATE", "checkpoints"),
        ("web", "DELETE FROM checkpoints WHERE thread_id IN ($1)", "web"),
    ],
)
def test_statements_are_told_apart(role: str, query: str, kind: str) -> None:
    assert counts.kind_of(role, query) == kind


def test_the_servers_are_started_as_documented() -> None:
    command = stack.gunicorn("agentsite.wsgi", 20_000)
    deploy = (stack.ROOT / "docs" / "how-to" / "deploy.md").read_text().replace("\\\n", " ")
    documented = next(line.split() for line in deploy.splitlines() if line.startswith("gunicorn agentsite.wsgi"))
    assert command[:2] == [sys.executable, "-m"]
    assert ["0.0.0.0:8000" if word == "127.0.0.1:20000" else word for word in command[2:]] == documented
    assert " ".join(stack.composed("worker")) in deploy
    bare = stack.gunicorn("bare", 20_000)
    assert [word if word != "bare" else "agentsite.wsgi" for word in bare] == command


def test_the_model_calls_the_tool_first_and_then_answers() -> None:
    first, second = (model_server.completion("", 1, told=told)["choices"][0] for told in (False, True))
    assert first["message"]["tool_calls"][0]["function"]["name"] == "multiply"
    assert (first["finish_reason"], second["finish_reason"]) == ("tool_calls", "stop")
    assert second["message"] == {"role": "assistant", "content": model_server.TEXT}


def test_a_quick_run_is_small_and_a_full_one_is_what_the_bound_is_meant_for() -> None:
    quick, usual, full = (options.parse("", words) for words in (["--quick"], [], ["--full"]))
    assert quick.rounds * quick.runs < usual.rounds * usual.runs
    assert (full.waiting, full.sleep, full.worker) == (500, 20.0, {"WORKER_CONCURRENCY": "500"})
    assert options.parse("", ["--waiting", "1000", "--worker", "WORKER_CONCURRENCY=250"]).worker == {
        "WORKER_CONCURRENCY": "250"
    }
    assert usual.wants("sqlite")
    assert not options.parse("", ["--only", "post"]).wants("sqlite")
    with pytest.raises(ArgumentTypeError):
        options.variable("WORKER_CONCURRENCY")
