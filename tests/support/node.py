"""A Node.js that runs TypeScript as it is: the one that playwright brings along, or one of this machine."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

try:
    import playwright
except ImportError:  # only the run's own requirements are installed
    playwright = None  # type: ignore[assignment]

STRIP = 'console.log(require("module").stripTypeScriptTypes(require("fs").readFileSync(process.argv[1], "utf8")))'
STRIPS_TYPES = "process.exit(process.features.typescript ? 0 : 1)"


def _found() -> str | None:
    bundled = Path(playwright.__file__).parent / "driver" / "node" if playwright else None
    for candidate in (bundled, shutil.which("node")):
        if candidate and Path(candidate).exists() and _runs(str(candidate), STRIPS_TYPES):
            return str(candidate)
    return None


def _runs(node: str, script: str) -> bool:
    return subprocess.run([node, "-e", script], capture_output=True).returncode == 0


NODE = _found()
IS_REQUIRED = "node" in os.environ.get("AGENTSITE_TEST_REQUIRE", "").split(",")
MISSING = "no Node.js that runs TypeScript (22.18 or newer) on this machine: the tests of its client are left out"


def package(folder: Path, source: Path) -> None:
    """Let scripts in this folder import the package `agentsite-client` from its source."""
    installed = folder / "node_modules" / "agentsite-client"
    installed.mkdir(parents=True)
    # Node.js takes the types only from files outside of node_modules.
    entry = json.dumps((source / "index.ts").as_uri())
    (installed / "package.json").write_text(json.dumps({"type": "module", "exports": "./index.js"}))
    (installed / "index.js").write_text(f"export * from {entry};\n")


def scripts(folder: Path, source: Path) -> None:
    """Write the sources into the folder as a browser can load them: without types."""
    folder.mkdir()
    for file in source.glob("*.ts"):
        text = subprocess.run([str(NODE), "-e", STRIP, str(file)], capture_output=True, text=True, check=True).stdout
        (folder / f"{file.stem}.js").write_text(re.sub(r'(from "\./\w+)\.ts"', r'\1.js"', text))
