"""Settings of drf-spectacular, which generates the OpenAPI schema."""

from typing import Any

from core import version

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Agentsite",
    "VERSION": version.VERSION,
    "DESCRIPTION": "Run tasks with agents, manage sessions and memories, and review tool calls.",
    "LICENSE": {"name": "MIT"},
    "TAGS": [
        {"name": "tasks", "description": "Requests of a user that an agent carries out."},
        {"name": "sessions", "description": "Conversations: tasks in order, and their messages."},
        {"name": "memory", "description": "Long-term memories about a user."},
        {"name": "reviews", "description": "Tool calls and questions that wait for a person's decision."},
        {"name": "pauses", "description": "The kill switch: pauses that keep work from starting."},
        {"name": "system", "description": "Health and figures of the service."},
    ],
    "AUTHENTICATION_WHITELIST": ["core.auth.authentication.ApiKeyAuthentication"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["core.auth.principals.OpenWithDebug"],
    "SORT_OPERATION_PARAMETERS": False,
    "COMPONENT_SPLIT_PATCH": False,  # the field of the only PATCH is required
    "POSTPROCESSING_HOOKS": ["core.api.openapi.without_enum_ids"],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # No validator, because it would send the schema's URL to an external server.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "tryItOutEnabled": True, "validatorUrl": None},
}
