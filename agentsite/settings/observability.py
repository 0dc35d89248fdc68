"""Logs and traces (docs/how-to/observability.md)."""

import os

from agentsite.observability import logs
from agentsite.settings.base import env

LOGGING = logs.config(env.str("LOG_FORMAT", default="line"), env.str("LOG_LEVEL", default="INFO"), os.environ)
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
