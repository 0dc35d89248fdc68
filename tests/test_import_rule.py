"""`core < memory < agents < reviews < agentsite`: each imports only those to its left, at module level."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ("core", "memory", "agents", "reviews", "agentsite")


def room_of(module: str) -> str | None:
    return next((room for room in ORDER if module == room or module.startswith(f"{room}.")), None)


def imports_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide what they reach"
            for alias in node.names:
                joined = f"{node.module}.{alias.name}"
                yield node.lineno, joined if room_of(joined) == "core" else str(node.module)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def broken(path: Path, source: str) -> list[str]:
    room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    tree = ast.parse(source)
    inner = {
        n.lineno for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f) if hasattr(n, "lineno")
    }
    found = []
    for line, module in imports_of(tree):
        other = room_of(module)
        if other and (ORDER.index(other) > ORDER.index(str(room)) or line in inner):
            found.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    return found


FILES = [p for top in ("agentsite", "memory", "agents", "reviews") for p in sorted((ROOT / top).rglob("*.py"))]


def test_no_file_breaks_the_rule() -> None:
    assert [row for path in FILES for row in broken(path, path.read_text())] == []


@pytest.mark.parametrize(
    "line", ["import reviews", "from reviews import services", "def f():\n    import memory.models"]
)
def test_the_rule_can_be_broken(line: str) -> None:
    assert broken(ROOT / "agents" / "models.py", line)
