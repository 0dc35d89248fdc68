"""Log format: one readable line or one JSON object per event, both without secrets.

All code logs with the standard library. structlog's formatter adds the context: the request, the task, the principal,
the trace. docs/how-to/observability.md lists the fields.
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
EXTRA = ("request_id", "method", "path", "status", "milliseconds")  # fields accepted from a record's `extra`
FIRST = ("timestamp", "level", "logger", "event")  # in this order

REDACTED = "[redacted]"
SHORTEST = 8  # characters; a shorter secret is not searched for by value, because it could match ordinary words
SECRET_NAME = re.compile(r"(KEY|SECRET|PASSWORD|TOKEN)$")  # matches names of environment variables
URL_PASSWORD = re.compile(r"://[^/:@]*:(.+)@")
QUOTED_OR = r"""("[^"\r\n]*"|'[^'\r\n]*'|"""
NAMED = r"(?i)((?:password|secret_?key|api_?key)"
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # the password in a URL, unless asterisks replace it already
    (re.compile(r"(?<=://)([^\s/:@]*):(?!\*+@)[^\s/]+@"), rf"\1:{REDACTED}@"),
    # the Authorization header, also in a dumped dict or list, as str or bytes
    (re.compile(r"""(?i)(authorization(?:["']\s*[:,]|\s*[:=])\s*b?)""" + QUOTED_OR + r"[^\r\n]+)"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)\b(bearer)\s+[a-z0-9._~+/=*-]{8,}"), rf"\1 {REDACTED}"),
    (re.compile(NAMED + r"""["']?\s*[:=]\s*b?)""" + QUOTED_OR + r"[^\s,;)}&]+)"), rf"\1{REDACTED}"),
    # our own API keys; the prefix stays, because it identifies the key in the admin
    (re.compile(r"\b([A-Za-z0-9]{8})\.[A-Za-z0-9]{32}\b"), rf"\1.{REDACTED}"),
    # OpenAI keys, also as OpenAI's errors quote them: sk-abc***xyz
    (re.compile(r"\bsk-[A-Za-z0-9_*-]{6,}"), f"sk-{REDACTED}"),
)


def config(log_format: str, level: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Build the setting LOGGING, which redacts the secrets in `environ`.

    Raises ImproperlyConfigured when `log_format` is unknown.
    """
    renderers: dict[str, Processor] = {LINE: render_line, JSON: JSONRenderer()}
    if log_format not in renderers:
        raise ImproperlyConfigured(f"LOG_FORMAT must be {LINE} or {JSON}, not {log_format!r}.")
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
            # The handlers of Django and gunicorn would write each line a second time, without redaction.
            **{name: {"propagate": True} for name in ("django", "gunicorn.error")},
            # One line per model request and per Celery job would drown out the useful lines.
            **{name: {"level": "WARNING"} for name in ("httpx", "httpx2", "openai", "langchain_openai")},
            **{name: {"level": "WARNING"} for name in ("celery.app.trace", "celery.worker.strategy")},
            "kombu.connection": {"level": "ERROR"},  # hides the warning that the filesystem broker has no host name
            "django.request": {"level": "ERROR"},
            "axes": {"level": "WARNING"},  # failed logins and lock-outs, but not each login and clean-up
            "django.server": {"level": "WARNING", "propagate": True},  # `agentsite.requests` logs each request
        },
    }


def secrets_of(environ: Mapping[str, str]) -> set[str]:
    """Return the secrets: values of variables named like secrets, and passwords of URLs, both encoded and decoded."""
    values = {value for name, value in environ.items() if SECRET_NAME.search(name)}
    for value in environ.values():
        if found := URL_PASSWORD.search(value):
            values |= {found[1], unquote(found[1])}
    return {value for value in values if len(value) >= SHORTEST}


class Redaction:
    """Callable that removes secrets from a text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        longest_first = sorted(secrets, key=len, reverse=True)
        self.known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """Replace each secret with a mark."""
        if self.known is not None:
            text = self.known.sub(REDACTED, text)
        for pattern, replacement in PATTERNS:
            text = pattern.sub(replacement, text)
        return text


class Tidy:
    """Processor that redacts values, converts them to JSON types, drops empty ones and orders FIRST first."""

    def __init__(self, redact: Redaction) -> None:
        self.redact = redact

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        known = {name: event.pop(name) for name in FIRST if name in event}
        tidied = {name: self._plain(value) for name, value in {**known, **event}.items()}
        return {name: value for name, value in tidied.items() if value != "" or name in FIRST}

    def _plain(self, value: Any) -> Any:
        return value if isinstance(value, bool | int | float) else self.redact("" if value is None else str(value))


def add_trace(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Add the id of the current trace (processor)."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
    return event


def render_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Format an event as one readable line (processor).

    Line breaks are escaped so that no text from a client or a model starts a line.
    """
    moment = str(event["timestamp"])[:23].replace("T", " ")
    text = visible(str(event["event"])).replace("\n", "\\n")
    line = f"{moment} {event['level'].upper():<7} {event['logger']}: {text}"
    if "request_id" in event:
        line += f" [request {event['request_id']}]"
    return "\n".join([line, *(str(event[name]) for name in ("exception", "stack") if name in event)])
