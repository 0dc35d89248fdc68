"""OpenAPI descriptions of the kill switch endpoints."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import OpenApiParameter, extend_schema_serializer
from rest_framework import serializers
from typing_extensions import override

from agents.models import Pause
from core.api import openapi
from core.api.openapi import ID, NOT_BLANK, ErrorSerializer, operation
from reviews.api.serializers import PauseSerializer

TAG = "pauses"
PAUSE_ID = openapi.uuid_parameter("id", "The pause.")
STATUS = OpenApiParameter(
    "status",
    {"type": "string", "enum": ["active", "lifted"], "default": "active"},
    description="Return pauses in force, or lifted pauses.",
)
VALUE = "The name of the agent or the tool, or the user ID. Leave it out for `everything`."
REFUSED = (ErrorSerializer, "The caller lacks the permission `agents.pause_work`.")


class FullPauseSerializer(serializers.Serializer):
    """A pause with its author and reason. `value` is the name of the agent or the tool, or the user ID."""

    id = serializers.UUIDField()
    scope = serializers.ChoiceField(Pause.Scope.values)
    value = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    by = serializers.CharField(help_text="A username or a host, such as `manage.py:<login>@<host>` or `system:<host>`.")
    since = serializers.DateTimeField()
    by_file = serializers.BooleanField(help_text="Whether the pause is set by the file PAUSE in a data folder.")
    resumed_at = serializers.DateTimeField(allow_null=True)
    resumed_by = serializers.CharField(allow_null=True)


@extend_schema_serializer(many=False)
class PauseListSerializer(serializers.Serializer):
    """A page of pauses, newest first."""

    results = FullPauseSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class PauseRules(OpenApiSerializerExtension):
    """Rules for `value`, which depend on `scope`."""

    target_class: Any = PauseSerializer

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> openapi.Schema:
        body: openapi.Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        body["properties"]["value"] |= {"description": VALUE}
        names: dict[str, openapi.Schema] = {
            Pause.Scope.AGENT: {"enum": sorted(settings.AGENTS)},
            Pause.Scope.TOOL: NOT_BLANK,
            Pause.Scope.USER: ID,
        }
        rules = [_rule(scope, {"properties": {"value": name}, "required": ["value"]}) for scope, name in names.items()]
        return {**body, "allOf": [_rule(Pause.Scope.EVERYTHING, {"properties": {"value": {"maxLength": 0}}}), *rules]}


def _rule(scope: str, then: openapi.Schema) -> openapi.Schema:
    return {"if": {"properties": {"scope": {"const": str(scope)}}, "required": ["scope"]}, "then": then}


LIST = operation(
    "list_pauses",
    "List pauses",
    tag=TAG,
    parameters=[STATUS, *openapi.PAGE],
    answers={200: (PauseListSerializer, "A page of pauses.")},
    fails=(400,),
    bodies={
        403: (
            ErrorSerializer,
            "The caller has none of the permissions `agents.pause_work`, `agents.view_pause` and `agents.view_system`.",
        )
    },
)
PAUSE = operation(
    "pause",
    "Pause everything, an agent, a tool or a user",
    tag=TAG,
    request=PauseSerializer,
    answers={
        200: (FullPauseSerializer, "The pause was already in force."),
        201: (FullPauseSerializer, "The pause is in force. No affected tool call starts any more."),
    },
    bodies={403: REFUSED},
)
RESUME = operation(
    "resume_work",
    "Lift a pause",
    tag=TAG,
    parameters=[PAUSE_ID],
    answers={200: (FullPauseSerializer, "The pause is lifted, or was already. Tasks that it held continue.")},
    fails=(404,),
    bodies={403: REFUSED, 409: (ErrorSerializer, "`held_by_file`: delete the file PAUSE on the host named in `by`.")},
)
