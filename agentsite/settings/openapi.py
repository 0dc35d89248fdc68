"""Settings of drf-spectacular, which generates the OpenAPI schema."""

from typing import Any

from core import version

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Agentsite",
    "VERSION": version.VERSION,
    "DESCRIPTION": "Tasks for agents, their sessions and memories, and the reviews of what they want to do.",
    "LICENSE": {"name": "MIT"},
    "TAGS": [
        {"name": "tasks", "description": "What a user asked for."},
        {"name": "sessions", "description": "Conversations: tasks in order, with their messages."},
        {"name": "memory", "description": "Long-term facts about a user."},
        {"name": "reviews", "description": "Tool calls that wait for a person."},
        {"name": "pauses", "description": "The kill switch: what keeps work from being started."},
        {"name": "system", "description": "The service as a whole."},
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
