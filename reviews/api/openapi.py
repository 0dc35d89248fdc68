"""OpenAPI descriptions of the review endpoints, and of the task endpoints in this package."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import OpenApiParameter
from typing_extensions import override

from agents.api import openapi as agents
from agents.api.openapi import WAIT
from agents.api.serializers import WIRE_STATUSES, MissingTaskSerializer, NamedTaskSerializer, TaskSerializer
from agents.models import Interrupt
from core.api import openapi
from core.api.openapi import FAILURES, NOT_BLANK, SESSION_ID, TASK_ID, USER_ID, operation
from reviews.api import serializers
from reviews.decisions.services import MESSAGE_LIMIT

TAG = "reviews"
REVIEW_ID = openapi.uuid_parameter("id", "The review.")
STATUS = OpenApiParameter(
    "status", {"type": "string", "enum": Interrupt.Status.values}, description="Return only reviews with this status."
)
ARGS = (
    "For `edit`: the full arguments as an object. For `response`: a string that replaces the tool's result, or what "
    'the model is told for its last answer. To extend a budget by `accept`: `{"amount": …}`, by default its limit.'
)
CHOICE_RULES: list[openapi.Schema] = [
    {
        "if": {"properties": {"response_type": {"const": "response"}}, "required": ["response_type"]},
        "then": {
            "properties": {"args": {"type": "string", "maxLength": MESSAGE_LIMIT, **NOT_BLANK}},
            "required": ["args"],
        },
    },
    {
        "if": {"properties": {"response_type": {"const": "edit"}}, "required": ["response_type"]},
        "then": {"properties": {"args": {"type": "object"}}, "required": ["args"]},
    },
]


class DecideRules(OpenApiSerializerExtension):
    """Rules for `args`, which depend on `response_type`."""

    target_class: Any = serializers.DecideSerializer

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> openapi.Schema:
        body: openapi.Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        body["properties"]["args"] = {"description": ARGS}
        return {**body, "allOf": CHOICE_RULES}


class AddressedRules(DecideRules):
    """Same rules for each of several decisions."""

    target_class = serializers.AddressedSerializer


class ResumeRules(DecideRules):
    """Rules for one decision, or for several by their interrupts."""

    target_class = serializers.ResumeSerializer

    @override
    def map_serializer(self, auto_schema: Any, direction: Any) -> openapi.Schema:
        body = super().map_serializer(auto_schema, direction)
        body["properties"]["decisions"]["minItems"] = 1
        return {**body, "oneOf": [{"required": ["response_type"]}, {"required": ["decisions"]}]}


DECIDED = "`already_decided`: the review is closed or has a different decision, shown in `decision`."

SINCE = OpenApiParameter(
    "since",
    {"type": "string", "enum": WIRE_STATUSES},
    description="With `wait`: wait until the status differs. By default, until it has ended or waits for a person.",
)
READ_STATUS = operation(
    "read_status",
    "Read a task",
    tag=agents.TASKS,
    parameters=[USER_ID, SESSION_ID, TASK_ID, WAIT, SINCE],
    answers={200: (TaskSerializer, "The task, with its result or its open questions.")},
    fails=(400,),
    bodies={404: (MissingTaskSerializer, FAILURES[404])},
)
RESUME = operation(
    "resume",
    "Answer the questions of a task",
    tag=agents.TASKS,
    request=serializers.ResumeSerializer,
    answers={202: (NamedTaskSerializer, "The decisions are stored. The task continues.")},
    fails=(403, 404),
    bodies={
        409: (
            serializers.DecisionConflictSerializer,
            f"{DECIDED} `which_interrupt`: send one of the `open_interrupts` as `interrupt_id`. "
            "`not_interrupted`: the task has not asked a question.",
        )
    },
)
LIST = operation(
    "list_reviews",
    "List reviews",
    tag=TAG,
    parameters=[STATUS, *openapi.PAGE],
    answers={200: (serializers.ReviewListSerializer, "A page of the reviews that the caller may see.")},
    fails=(400,),
)
READ = operation(
    "read_review",
    "Read a review",
    tag=TAG,
    parameters=[REVIEW_ID],
    answers={200: (serializers.ReviewSerializer, "The review.")},
    fails=(404,),
)
DECIDE = operation(
    "decide_review",
    "Decide a review",
    tag=TAG,
    request=serializers.DecideSerializer,
    parameters=[REVIEW_ID],
    answers={
        200: (
            serializers.ReviewSerializer,
            "The review and its decision. Repeating the same decision returns the same response.",
        )
    },
    fails=(403, 404),
    bodies={409: (serializers.DecisionConflictSerializer, f"{DECIDED} `stale`: `version` is not the current version.")},
)
CLAIM = operation(
    "claim_review",
    "Claim a review",
    tag=TAG,
    request=serializers.ClaimSerializer,
    parameters=[REVIEW_ID],
    answers={
        200: (serializers.ReviewSerializer, "The review. For five minutes, other reviewers see who has claimed it.")
    },
    fails=(403, 404),
    bodies={
        409: (
            serializers.ClaimConflictSerializer,
            "`claimed`: someone else has claimed the review; send `take_over` to take it over. "
            "`not_open`: the review is closed.",
        )
    },
)
RELEASE = operation(
    "release_review",
    "Release a claim",
    tag=TAG,
    parameters=[REVIEW_ID],
    answers={200: (serializers.ReviewSerializer, "The review, without your claim.")},
    fails=(404,),
)
