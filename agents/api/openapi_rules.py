"""What the fields of a request can't say by themselves. drf-spectacular finds these classes once they are imported."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiSerializerExtension
from typing_extensions import override

from agents.api.serializers import InvokeSerializer, OpenSessionSerializer
from core.api import openapi


class InvokeRules(OpenApiSerializerExtension):
    """What fields alone can't say of a submission, and which agents there are."""

    target_class = InvokeSerializer
    match_subclasses = False

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> openapi.Schema:
        body: openapi.Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        body["properties"]["agent"]["enum"] = sorted(settings.AGENTS)
        # `dependentRequired` would say it shorter, but few tools know it.
        return {**body, "anyOf": [{"required": ["session_id"]}, {"not": {"required": ["task_id"]}}]}


class OpenSessionRules(OpenApiSerializerExtension):
    """Which agents there are."""

    target_class = OpenSessionSerializer

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> openapi.Schema:
        body: openapi.Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        body["properties"]["agent"]["enum"] = sorted(settings.AGENTS)
        return body
