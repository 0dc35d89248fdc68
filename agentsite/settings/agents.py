"""Settings of the model and the agents."""

from typing import Any

from agentsite.settings.base import env

OPENAI_API_KEY = env.str("OPENAI_API_KEY", default="")
OPENAI_BASE_URL = env.str("OPENAI_BASE_URL", default="")
AGENT_MODEL = env.str("AGENT_MODEL", default="") or "openai:gpt-4.1-mini"
MODEL_TIMEOUT_SECONDS = env.float("MODEL_TIMEOUT_SECONDS", default=60.0)  # of one whole request to the model
MODEL_RETRY_SECONDS = env.float("MODEL_RETRY_SECONDS", default=100.0)  # of one model call with all its retries
# Prices per million tokens as JSON: {"gpt-4.1-mini": {"input": 0.40, "cached_input": 0.10, "output": 1.60}, "gpt-*": …}
MODEL_PRICES = env.str("MODEL_PRICES", default="")
MODEL_CURRENCY = env.str("MODEL_CURRENCY", default="USD")  # of these prices
PREVIEW_SECONDS = env.float("PREVIEW_SECONDS", default=2.0)  # for a tool's preview of edited arguments; 0: no preview
AGENT_TOOLS = env.list("AGENT_TOOLS", default=[])
REVIEW_DESK = "reviews.desk.Desk"
DEFAULT_POLICY = "reviews.policy.plugin.RulesPolicy"  # also does the bookkeeping of a policy that is a function
AGENTS: dict[str, dict[str, Any]] = {
    "default": {
        "GRAPH": "agents.runtime.graphs.react.build",
        "MODEL": AGENT_MODEL,
        "TOOLS": ["agents.tools", *AGENT_TOOLS],
        "POLICY": DEFAULT_POLICY,
        "MEMORY": "memory.strategies.Default",
        "SYSTEM_PROMPT": (
            "You are a helpful assistant. Use the tools when they help. Some tool calls are looked at by a person "
            "before they run; when one is rejected, accept that, tell the user why and do not try the same call again."
        ),
    },
}
