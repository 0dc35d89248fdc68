"""Somebody who can write to the checkpoint tables, and what reading them back may not do."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# A checkpoint's value that names a function and its argument; LangGraph calls it unless it is strict.
READ = """
import sys
from agentsite import settings
import ormsgpack
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_SINGLE_ARG, JsonPlusSerializer
crafted = ormsgpack.packb(ormsgpack.Ext(EXT_CONSTRUCTOR_SINGLE_ARG, ormsgpack.packb(("os", "mkdir", sys.argv[1]))))
try:
    JsonPlusSerializer().loads_typed(("msgpack", crafted))
except Exception as error:
    print(type(error).__name__)
"""


def read(folder: Path, **env: str) -> None:
    """Read the crafted value in a process of its own: LangGraph looks at its setting when it is imported."""
    environ = {name: value for name, value in os.environ.items() if name != "LANGGRAPH_STRICT_MSGPACK"} | env
    subprocess.run([sys.executable, "-c", READ, str(folder)], cwd=ROOT, env=environ, check=True, timeout=60)


def test_a_crafted_checkpoint_runs_nothing(tmp_path: Path) -> None:
    read(tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_control_without_the_strict_setting_it_does(tmp_path: Path) -> None:
    read(tmp_path / "made", LANGGRAPH_STRICT_MSGPACK="false")
    assert (tmp_path / "made").exists()
