"""The TypeScript client against odd servers, by its own tests; its types, where a compiler is at hand."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import node
from tests.support.processes import ROOT

CLIENT = ROOT / "client" / "typescript"
COMPILER = next(filter(None, (shutil.which("tsc", path=CLIENT / "node_modules" / ".bin"), shutil.which("tsc"))), None)


@pytest.mark.node
@pytest.mark.slow
def test_its_own_tests_pass() -> None:
    tests = [str(path) for path in sorted((CLIENT / "tests").glob("*.test.mjs"))]
    done = subprocess.run([str(node.NODE), "--test", *tests], cwd=CLIENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(COMPILER is None, reason="no TypeScript compiler on this machine: types are not checked")
def test_its_types_hold(tmp_path: Path) -> None:
    done = subprocess.run([str(COMPILER), "--outDir", str(tmp_path)], cwd=CLIENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_has_no_dependencies() -> None:
    """Neither in its package nor in an import."""
    assert '"dependencies"' not in (CLIENT / "package.json").read_text()
    sources = [file.read_text() for file in (CLIENT / "src").glob("*.ts")]
    targets = [line.split('"')[1] for text in sources for line in text.splitlines() if ' from "' in line]
    assert len(targets) >= 10
    assert all(target.startswith("./") for target in targets)
