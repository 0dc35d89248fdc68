"""The tables of transitions: one writer a noun, and docs/explanation/lifecycle.md draws what they say."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.models import FINAL, Interrupt, Status, ToolCall
from agents.state import transitions
from agents.state.transitions import INTERRUPT, TASK, TOOL_CALL, Transition, targets

ROOT = Path(__file__).parent.parent.parent
TABLES = {"task": TASK, "interrupt": INTERRUPT, "tool call": TOOL_CALL}
STATUSES = {"task": Status, "interrupt": Interrupt.Status, "tool call": ToolCall.Status}
WRITERS = {"agents/state/tasks.py", "agents/state/interrupts.py", "agents/state/tool_calls.py"}
OTHERS = {
    "memory/services.py",  # memories, deliveries and notices have a status of their own
    "notifications/delivery.py",
    "notifications/outbox.py",
    "core/db/leases.py",  # writes the columns that its caller names beside a lease
    "demo/model_server/oddities.py",  # updates dictionaries
}
PACKAGES = ("core", "memory", "agents", "reviews", "notifications", "agentsite", "devserver", "demo")


def mermaid(table: tuple[Transition, ...]) -> str:
    """Draw the table as a state diagram for Mermaid."""
    rows = [f"    {one.source or '[*]'} --> {one.target or '[*]'}: {one.cause}" for one in table]
    final = dict.fromkeys(one.target for one in table if one.target and not targets(table, one.target))
    return "\n".join(["stateDiagram-v2", *rows, *(f"    {status} --> [*]" for status in final)])


@pytest.mark.parametrize("noun", TABLES)
def test_the_table_has_every_status_and_no_other(noun: str) -> None:
    named = {status for one in TABLES[noun] for status in (one.source, one.target) if status}
    assert named == set(STATUSES[noun].values)


@pytest.mark.parametrize("noun", TABLES)
def test_no_row_stands_twice(noun: str) -> None:
    pairs = [(one.source, one.target) for one in TABLES[noun]]
    assert len(pairs) == len(set(pairs))


def test_a_final_task_stays_so_and_every_other_can_be_cancelled() -> None:
    for status in Status.values:
        if status in FINAL:
            assert targets(TASK, status) == frozenset()
        else:
            assert Status.CANCELLED in targets(TASK, status)


def test_an_answered_question_and_a_closed_call_stay_so() -> None:
    for status in Interrupt.Status.values:
        assert bool(targets(INTERRUPT, status)) == (status == "pending")
    for status in ToolCall.Status.values:
        assert bool(targets(TOOL_CALL, status)) == (status == "started")


@pytest.mark.parametrize("noun", TABLES)
def test_the_docs_draw_it(noun: str) -> None:
    text = (ROOT / "docs" / "explanation" / "lifecycle.md").read_text()
    assert f"```mermaid\n{mermaid(TABLES[noun])}\n```" in text


def test_a_diagram_ends_where_nothing_follows() -> None:
    drawn = mermaid((Transition("", "a", "made"), Transition("a", "b", "moved"), Transition("b", "", "gone")))
    assert drawn.splitlines() == ["stateDiagram-v2", "    [*] --> a: made", "    a --> b: moved", "    b --> [*]: gone"]
    assert mermaid((Transition("", "a", "made"),)).endswith("    a --> [*]")


def _is_status(target: ast.expr) -> bool:
    match target:
        case ast.Tuple(elts=parts):
            return any(_is_status(part) for part in parts)
    return isinstance(target, ast.Attribute) and target.attr == "status"


def writes(path: Path) -> Iterator[int]:
    """The lines that may write a status: `update(status=…)`, `update(**…)`, `bulk_update` and `x.status = …`."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr="bulk_update")):
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr="update"), keywords=given) if {one.arg for one in given} & {
                "status",
                None,
            }:
                yield node.lineno
            case ast.Assign(targets=targets) if any(_is_status(target) for target in targets):
                yield node.lineno


def test_nobody_else_writes_a_status() -> None:
    found = {
        str(path.relative_to(ROOT)): list(writes(path))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "migrations" not in path.parts
    }
    writers = {name for name, lines in found.items() if lines}
    assert writers - OTHERS == WRITERS


@pytest.mark.parametrize(
    "line",
    [
        "rows.update(status='done')",
        "rows.update(\n    count=1, status='done'\n)",
        "rows.update(**closing)",
        "Task.objects.bulk_update(rows, ['status'])",
        "row.status = 'done'",
        "row.status, row.count = 'done', 1",
    ],
)
def test_control_a_write_elsewhere_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.py").write_text(f"{line}\nrows.update(count=1)\nstatus = row.status\n")
    assert list(writes(tmp_path / "x.py")) == [1]


def test_the_docs_name_the_modules() -> None:
    assert transitions.__doc__ is not None
    text = (ROOT / "docs" / "explanation" / "lifecycle.md").read_text()
    assert all(f"`{name}`" in text for name in WRITERS)
