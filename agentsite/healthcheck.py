"""Former path of `agentsite/server/healthcheck.py`, kept for container commands that use it. Deprecated."""

import runpy
from pathlib import Path

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parent / "server" / "healthcheck.py"), run_name="__main__")
