"""Django REST framework, CORS and the size limit of request bodies."""

from typing import Any

from agentsite.settings.base import env
from agentsite.settings.limits import BEHIND_PROXY

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "core.auth.authentication.ApiKeyAuthentication",
        "core.auth.authentication.AdminSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["core.auth.throttling.PrincipalRate"],
    "NUM_PROXIES": env.int("PROXY_COUNT", default=1) if BEHIND_PROXY else 0,  # how many proxies stand in front
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.api.parsers.StrictJSONParser"],
    "EXCEPTION_HANDLER": "agentsite.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.api.negotiation.StrictContentNegotiation",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# Other origins whose pages may call the API from a browser. CORS_URLS_REGEX excludes the admin.
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/(agent|reviews|pauses|usage|system|health|schema)"
CORS_ALLOW_HEADERS = [
    *("authorization", "content-type", "idempotency-key", "last-event-id", "traceparent", "x-request-id"),
    "cache-control",
]
CORS_EXPOSE_HEADERS = ["retry-after", "x-request-id"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # bytes of a request's body
