"""How log lines look: one readable line an event, or one JSON object, both without secrets.

All code logs with the standard library. structlog's formatter adds what the context knows: the request, the task, the
principal, the trace. The fields are in docs/observability.md.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from django.core.exceptions import ImproperlyConfigured
from opentelemetry import trace
from structlog.contextvars import merge_contextvars
from structlog.processors import JSONRenderer, StackInfoRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, Processor, WrappedLogger

from core.text import visible

LINE, JSON = "line", "json"
EXTRA = ("request_id", "method", "path", "status", "milliseconds")  # what a record's `extra` may bring
FIRST = ("timestamp", "level", "logger", "event")  # in this order

REDACTED = "[redacted]"
SHORTEST = 8  # characters of a secret that is looked for by its value: a shorter one is found in ordinary words
SECRET_NAME = re.compile(r"(KEY|SECRET|PASSWORD|TOKEN)$")  # of a variable of the environment
URL_PASSWORD = re.compile(r"://[^/:@]*:(.+)@")
QUOTED_OR = r"""("[^"\r\n]*"|'[^'\r\n]*'|"""
NAMED = r"(?i)((?:password|secret_?key|api_?key)"
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # the password in a URL, unless who wrote it has put stars in its place
    (re.compile(r"(?<=://)([^\s/:@]*):(?!\*+@)[^\s/]+@"), rf"\1:{REDACTED}@"),
    # the header, also in a dumped dict or list, of texts or bytes
    (re.compile(r"""(?i)(authorization(?:["']\s*[:,]|\s*[:=])\s*b?)""" + QUOTED_OR + r"[^\r\n]+)"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)\b(bearer)\s+[a-z0-9._~+/=*-]{8,}"), rf"\1 {REDACTED}"),
    (re.compile(NAMED + r"""["']?\s*[:=]\s*b?)""" + QUOTED_OR + r"[^\s,;)}&]+)"), rf"\1{REDACTED}"),
    # our own keys; the prefix is shown in the admin and says which one it is
    (re.compile(r"\b([A-Za-z0-9]{8})\.[A-Za-z0-9]{32}\b"), rf"\1.{REDACTED}"),
    # OpenAI's, also as its errors quote them: sk-abc***xyz
    (re.compile(r"\bsk-[A-Za-z0-9_*-]{6,}"), f"sk-{REDACTED}"),
)


def config(log_format: str, level: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """The setting LOGGING. The secrets of this environment never reach a line. Raises ImproperlyConfigured."""
    renderers: dict[str, Processor] = {LINE: render_line, JSON: JSONRenderer()}
    if log_format not in renderers:
        raise ImproperlyConfigured(f"LOG_FORMAT is {LINE} or {JSON}, not {log_format!r}.")
    formatter = {
        "()": ProcessorFormatter,
        "processors": [
            merge_contextvars,
            ExtraAdder(EXTRA),
            add_log_level,
            add_logger_name,
            TimeStamper(fmt="iso", utc=True),
            StackInfoRenderer(),
            format_exc_info,
            add_trace,
            ProcessorFormatter.remove_processors_meta,
            Tidy(Redaction(secrets_of(environ))),
            renderers[log_format],
        ],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": formatter},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Handlers that Django and gunicorn bring along would write each line a second time, secrets and all.
            **{name: {"propagate": True} for name in ("django", "gunicorn.error")},
            # One line a request to the model, and one a job that Celery takes, hide the lines that tell a story.
            **{name: {"level": "WARNING"} for name in ("httpx", "httpx2", "openai", "langchain_openai")},
            **{name: {"level": "WARNING"} for name in ("celery.app.trace", "celery.worker.strategy")},
            "kombu.connection": {"level": "ERROR"},  # that the filesystem broker has no host name
            "django.request": {"level": "ERROR"},
            "axes": {"level": "WARNING"},  # failed logins and lock-outs, not each login and clean-up
            "django.server": {"level": "WARNING", "propagate": True},  # `agentsite.requests` tells of each request
        },
    }


def secrets_of(environ: Mapping[str, str]) -> set[str]:
    """The secrets among these variables: by a variable's name, and the passwords of URLs, as written and decoded."""
    values = {value for name, value in environ.items() if SECRET_NAME.search(name)}
    for value in environ.values():
        if found := URL_PASSWORD.search(value):
            values |= {found[1], unquote(found[1])}
    return {value for value in values if len(value) >= SHORTEST}


class Redaction:
    """Removes secrets from a text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        longest_first = sorted(secrets, key=len, reverse=True)
        self.known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """The text with a mark in the place of each secret."""
        if self.known is not None:
            text = self.known.sub(REDACTED, text)
        for pattern, replacement in PATTERNS:
            text = pattern.sub(replacement, text)
        return text


class Tidy:
    """A processor: every value without secrets and as JSON knows it, none empty, those that are always there first."""

    def __init__(self, redact: Redaction) -> None:
        self.redact = redact

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        known = {name: event.pop(name) for name in FIRST if name in event}
        tidied = {name: self._plain(value) for name, value in {**known, **event}.items()}
        return {name: value for name, value in tidied.items() if value != "" or name in FIRST}

    def _plain(self, value: Any) -> Any:
        return value if isinstance(value, bool | int | float) else self.redact("" if value is None else str(value))


def add_trace(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A processor: the trace that the line belongs to."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
    return event


def render_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """A processor: one line for people. Nothing that a client or a model wrote begins a line of its own."""
    moment = str(event["timestamp"])[:23].replace("T", " ")
    text = visible(str(event["event"])).replace("\n", "\\n")
    line = f"{moment} {event['level'].upper():<7} {event['logger']}: {text}"
    if "request_id" in event:
        line += f" [request {event['request_id']}]"
    return "\n".join([line, *(str(event[name]) for name in ("exception", "stack") if name in event)])
