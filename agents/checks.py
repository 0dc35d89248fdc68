"""System checks that report misconfiguration at `manage.py check` and not in the middle of a task."""

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from agents import config
from agents.desk import desk
from agents.policy import ASK_AGAIN, STAND
from agents.usage import prices as usage_prices

NEEDED = ("GRAPH", "MODEL", "POLICY", "MEMORY")
MAX_DAYS = 36_500
UNGUARDED = "The graph of AGENTS[{alias!r}] runs tools that nobody reviews: {names}."
GUARD = (
    "Name them in TOOLS and take them from `agent.tools`, or put agents.runtime.middleware.tool_gate.Gate among the "
    "middleware."
)
LEFT_OUT = "AGENTS[{alias!r}] leaves out the tool {name}, because its schema can't be read: {reason}."
SCHEMA = "Correct the tool's schema, or remove the tool from TOOLS."
AT_LEAST_ONE = ("GRAPH_RECURSION_LIMIT", "TASK_MAX_REFUSALS", "ANSWER_MAX_CALLS")
BROKERS = ("amqp", "amqps", "redis", "rediss", "sentinel")
BROKER = (
    "For example amqp://user:password@host:5672/vhost, or sentinel://host:26379;sentinel://other:26379. "
    "Redis Cluster can't be the broker."
)
PRICES = (
    'Set it to JSON with prices per million tokens, such as {"gpt-4.1-mini": {"input": 0.40, "cached_input": 0.10, '
    '"output": 1.60}}. A name can be a pattern, such as "gpt-*".'
)
CURRENCY = re.compile(r"[A-Z]{3}")
QUEUE_TYPES = ("classic", "quorum")
NO_LIMIT = ("SESSION_RETENTION_DAYS", "JOB_RETENTION_DAYS", "KEY_RETENTION_DAYS", "MODEL_CALL_RETENTION_DAYS")
LEAST_TOKENS = 500  # of a budget: with less, even short results would consist mostly of truncation marks


def timing(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the lease, heartbeat, sweep and republish times against one another."""
    found = []
    if settings.TASK_LEASE_SECONDS <= 2 * settings.TASK_HEARTBEAT_SECONDS:
        hint = "Use a lease of more than two heartbeats. With less, one late heartbeat ends the lease of a live worker."
        found.append(
            Error("TASK_LEASE_SECONDS must be more than twice TASK_HEARTBEAT_SECONDS.", hint=hint, id="agents.E001")
        )
    if min(settings.TASK_HEARTBEAT_SECONDS, settings.TASK_SWEEP_SECONDS, settings.TASK_REPUBLISH_SECONDS) <= 0:
        found.append(
            Error(
                "TASK_HEARTBEAT_SECONDS, TASK_SWEEP_SECONDS and TASK_REPUBLISH_SECONDS must be above 0.",
                id="agents.E002",
            )
        )
    return found


def bounds(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the limits on model requests and the model's timeout."""
    found: list[CheckMessage] = [
        Error(f"{name} is {value}, but must be at least 1.", id="agents.E008")
        for name in AT_LEAST_ONE
        if (value := getattr(settings, name)) < 1
    ]
    if settings.MODEL_TIMEOUT_SECONDS <= 0:
        found.append(Error("MODEL_TIMEOUT_SECONDS must be above 0.", id="agents.E009"))
    return found


def budgets(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the token budgets for what a model receives of a conversation."""
    return [
        Error(f"{name} is {tokens}, but must be at least {LEAST_TOKENS}.", id="agents.E010")
        for name in ("CONVERSATION_TOKENS", "TASK_TOKENS")
        if (tokens := getattr(settings, name)) < LEAST_TOKENS
    ]


def broker(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the broker's URLs, one by one, and the kind of RabbitMQ's queue."""
    url = settings.CELERY_BROKER_URL
    schemes = {one.partition("://")[0].lower() if "://" in one else "" for one in url.split(";")}
    found: list[CheckMessage] = []
    if url != "filesystem://" and not (len(schemes) == 1 and schemes <= set(BROKERS)):
        # Without the URL, which may hold a password.
        given = ", ".join(sorted(scheme or "no scheme" for scheme in schemes))
        text = f"CELERY_BROKER_URL has to begin with one of {', '.join(BROKERS)} and ://, but has: {given}."
        found.append(Error(text, hint=BROKER, id="agents.E012"))
    kind = getattr(settings, "CELERY_TASK_DEFAULT_QUEUE_TYPE", QUEUE_TYPES[0])
    if kind not in QUEUE_TYPES:
        text = f"RABBITMQ_QUEUE_TYPE is {kind!r}, but must be one of {', '.join(QUEUE_TYPES)}."
        found.append(Error(text, id="agents.E013"))
    return found


def prices(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the prices of models and their currency."""
    found: list[CheckMessage] = []
    try:
        usage_prices.configured()
    except config.Misconfigured as error:
        found.append(Error(f"MODEL_PRICES can't be used: {error}.", hint=PRICES, id="agents.E014"))
    if not CURRENCY.fullmatch(settings.MODEL_CURRENCY):
        text = f"MODEL_CURRENCY is {settings.MODEL_CURRENCY!r}, but must be a code of three capital letters."
        found.append(Error(text, hint="For example USD or EUR.", id="agents.E015"))
    return found


def former_reviewers(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the setting for decisions of people who may no longer decide."""
    value, known = settings.DECISIONS_OF_FORMER_REVIEWERS, (STAND, ASK_AGAIN)
    if value in known:
        return []
    return [
        Error(f"DECISIONS_OF_FORMER_REVIEWERS is {value!r}, but must be one of {', '.join(known)}.", id="agents.E011")
    ]


def retention(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the retention times."""
    zero = {
        **dict.fromkeys(NO_LIMIT, "no limit"),
        "CHECKPOINT_RETENTION_DAYS": "none are kept",
    }
    return [
        Error(f"{name} is {days}, but must be from 0 ({meaning}) to {MAX_DAYS} days.", id="agents.E006")
        for name, meaning in zero.items()
        if not 0 <= (days := getattr(settings, name)) <= MAX_DAYS
    ]


def duties(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check what the settings plug into the workers: the desk, the default policy, duties. Imports it."""
    found: list[CheckMessage] = []
    for name, made in (("REVIEW_DESK", desk), ("DEFAULT_POLICY", config.default_policy)):
        try:
            made()
        except config.Misconfigured as error:
            found.append(Error(f"{name}: {error}", hint="Correct the dotted path.", id="agents.E007"))
    for name in ("SWEEPER_DUTIES", "HOUSEKEEPING_DUTIES"):
        for path in getattr(settings, name):
            try:
                import_string(path)
            except ImportError as error:
                found.append(Error(f"{name}: {error}", hint="Correct the dotted path.", id="agents.E007"))
    return found


def agents(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the entries of AGENTS. Imports what they name, including LangChain, so it runs only with `--deploy`."""
    found: list[CheckMessage] = []
    for alias, entry in settings.AGENTS.items():
        if missing := [key for key in NEEDED if key not in entry]:
            found.append(Error(f"AGENTS[{alias!r}] has no {', '.join(missing)}.", id="agents.E003"))
            continue
        try:
            built = import_string("agents.runtime.registry.graph")(alias)
            left_out = import_string("agents.runtime.registry.agent")(alias).left_out
            found += [
                Warning(LEFT_OUT.format(alias=alias, name=name, reason=reason), hint=SCHEMA, id="agents.W002")
                for name, reason in left_out.items()
            ]
            if names := import_string("agents.runtime.gate.unguarded.names")(built):
                found.append(
                    Warning(UNGUARDED.format(alias=alias, names=", ".join(names)), hint=GUARD, id="agents.W001")
                )
        except Exception as error:  # a named module may raise anything when it is imported
            hint = "Correct the dotted path, or the module that it refers to."
            found.append(Error(f"AGENTS[{alias!r}]: {error}", hint=hint, id="agents.E004"))
    if "default" not in settings.AGENTS:
        found.append(Error('AGENTS has no "default".', id="agents.E005"))
    return found
