"""OpenAPI descriptions of the kill switch endpoints."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import OpenApiParameter
from typing_extensions import override

from agents.models import Pause
from core.api import openapi
from core.api.openapi import ID, NOT_BLANK, operation
from core.api.outputs import ErrorSerializer
from reviews.api import serializers

TAG = "pauses"
PAUSE_ID = openapi.uuid_parameter("id", "The pause.")
STATUS = OpenApiParameter(
    "status",
    {"type": "string", "enum": ["active", "lifted"], "default": "active"},
    description="Return pauses in force, or lifted pauses.",
)
VALUE = "The name of the agent or the tool, or the user ID. Leave it out for `everything`."
REFUSED = (ErrorSerializer, "The caller lacks the permission `agents.pause_work`.")


class PauseRules(OpenApiSerializerExtension):
    """Rules for `value`, which depend on `scope`."""

    target_class: Any = serializers.PauseSerializer

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
    answers={200: (serializers.PauseListSerializer, "A page of pauses.")},
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
    request=serializers.PauseSerializer,
    answers={
        200: (serializers.FullPauseSerializer, "The pause was already in force."),
        201: (serializers.FullPauseSerializer, "The pause is in force. No affected tool call starts any more."),
    },
    bodies={403: REFUSED},
)
RESUME = operation(
    "resume_work",
    "Lift a pause",
    tag=TAG,
    parameters=[PAUSE_ID],
    answers={
        200: (serializers.FullPauseSerializer, "The pause is lifted, or was already. Tasks that it held continue.")
    },
    fails=(404,),
    bodies={403: REFUSED, 409: (ErrorSerializer, "`held_by_file`: delete the file PAUSE on the host named in `by`.")},
)
