"""Settings of the service under measurement: the defaults, and two more agents with the default one's graph."""

import os

from agentsite.settings import *  # noqa: F403
from agentsite.settings import AGENTS

AGENTS |= {
    "approval": {**AGENTS["default"], "MODEL": "openai:approval", "TOOLS": ["benchmarks.speed.tools"]},
    "waiting": {**AGENTS["default"], "MODEL": f"openai:sleep-{os.environ.get('BENCH_SLEEP', '1')}"},
}
