"""OpenTelemetry: spans of HTTP requests, and setup of the SDK.

The OpenTelemetry API creates the spans. It is always installed and does nothing without an SDK. `exporter.py` needs the
packages of requirements-otel.txt and is loaded only if OTEL_EXPORTER_OTLP_ENDPOINT is set.
"""

import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from celery.signals import worker_process_init, worker_process_shutdown, worker_ready
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from agents.observability.tracing import span
from agentsite.middleware.request_id import PROBES

logger = logging.getLogger(__name__)

NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
MISSING = "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages of requirements-otel.txt are not installed."
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class TracingMiddleware:
    """Middleware that wraps each request in a span, a child of its `traceparent`, named by the route, not the path."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in PROBES:
            return self.get_response(request)
        method = request.method if request.method in METHODS else "_OTHER"
        attributes = {"http.request.method": str(method)}
        parent = request.headers.get("traceparent", "")
        with span(f"{method}", attributes, parent=parent, kind=SpanKind.SERVER) as made:
            response = self.get_response(request)
            if request.resolver_match is not None:
                route = f"/{request.resolver_match.route}"
                made.update_name(f"{method} {route}")
                made.set_attribute("http.route", route)
            made.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 500:
                made.set_status(StatusCode.ERROR)
        return response


def check(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check that the exporter's packages are installed if traces are exported."""
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT or _is_installed():
        return []
    hint = "Install them (pip install -r requirements-otel.txt), or unset OTEL_EXPORTER_OTLP_ENDPOINT."
    return [Error(MISSING, hint=hint, id="tracing.E001")]


def set_up() -> None:
    """Export this process's spans if OTEL_EXPORTER_OTLP_ENDPOINT is set. Log an error if the packages are missing."""
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return
    if _is_installed():
        import_string("agentsite.observability.exporter.start")()
    else:
        logger.error("%s No traces are exported.", MISSING)


def _is_installed() -> bool:
    try:
        return all(find_spec(name) for name in NEEDED)
    except ModuleNotFoundError:  # the parent package is missing
        return False


@worker_ready.connect
@worker_process_init.connect
def _set_up_worker(**kwargs: Any) -> None:
    # Not at worker_init: prefork forks after it, and the exporting thread would not exist in the children.
    set_up()


@worker_process_shutdown.connect
def _send_the_rest(**kwargs: Any) -> None:
    # A prefork child ends without running Python's atexit handlers, where the SDK would flush automatically.
    flush = getattr(trace.get_tracer_provider(), "force_flush", None)
    if flush is not None:
        flush()
