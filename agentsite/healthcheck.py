"""The former path of `agentsite/server/healthcheck.py`, for commands of containers that name it. Deprecated."""

import runpy
from pathlib import Path

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parent / "server" / "healthcheck.py"), run_name="__main__")
