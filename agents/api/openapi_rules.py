"""Schema rules that request fields cannot express. drf-spectacular finds these classes once they are imported."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiSerializerExtension
from typing_extensions import override

from agents.api.serializers import InvokeSerializer, OpenSessionSerializer
from core.api import openapi


class InvokeRules(OpenApiSerializerExtension):
    """Rules for a submission: a `task_id` requires a `session_id`, and `agent` is one of the configured agents."""

    target_class = InvokeSerializer
    match_subclasses = False

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> openapi.Schema:
        body: openapi.Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        body["properties"]["agent"]["enum"] = sorted(settings.AGENTS)
        # `dependentRequired` would be shorter, but few tools support it.
        return {**body, "anyOf": [{"required": ["session_id"]}, {"not": {"required": ["task_id"]}}]}


class OpenSessionRules(OpenApiSerializerExtension):
    """Rule for opening a session: `agent` is one of the configured agents."""

    target_class = OpenSessionSerializer

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> openapi.Schema:
        body: openapi.Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        body["properties"]["agent"]["enum"] = sorted(settings.AGENTS)
        return body
