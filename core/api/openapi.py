"""Shared parts of the OpenAPI schema. Each app's `openapi.py` uses them to describe its endpoints."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from typing_extensions import override

from core import identifiers
from core.api import pagination
from core.api.outputs import ErrorSerializer

Schema = dict[str, Any]
# Status, or status and media type: (the body's serializer, when it is returned)
Answers = Mapping[Any, tuple[Any, str]]

# The ids that `identifiers.identifier` accepts, as an ECMA 262 pattern. ASCII characters are listed for tools that read
# patterns without the flag `u`, such as Swagger UI: to them, `\p{L}` does not match letters.
ID: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": identifiers.MAX_LENGTH,
    "pattern": r"^(?!\.{1,2}$)[0-9A-Za-z\p{L}\p{N}._@:+|-]+$",
}
# Not only characters that Python strips. A pattern for the allowed texts would be ten times slower to match.
NOT_BLANK: Schema = {"minLength": 1, "not": {"pattern": r"^[\s\u001c-\u001f\u0085]*$"}}

ALWAYS = (401, 406, 429, 503)  # of every operation that needs a credential
WITH_BODY = (400, 413, 415)
FAILURES = {
    400: "The input is not valid. `errors` lists the problems by field.",
    401: "The credential is missing, unknown, revoked or expired.",
    403: "The caller may not do this for this owner.",
    404: "The object doesn't exist, or belongs to another owner.",
    406: "The `Accept` header doesn't allow JSON.",
    413: "The body is larger than 1 MiB.",
    415: "The content type of the body is not `application/json`.",
    429: "Too many requests. `Retry-After` says how long to wait.",
    503: "The database is unreachable. Nothing was changed.",
}


def _path(name: str, schema: Schema, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, OpenApiParameter.PATH, description=description)


USER_ID = _path("user_id", ID, "The client's ID of the owner.")
SESSION_ID = _path("session_id", ID, "The client's ID of the session.")
TASK_ID = _path("task_id", ID, "The client's ID of the task.")
LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": pagination.MAX_LIMIT, "default": pagination.DEFAULT_LIMIT},
    description="The maximum number of items on a page.",
)


def cursor(kind: str) -> OpenApiParameter:
    """Return the `cursor` parameter. Lists of the same kind accept each other's cursors."""
    schema: Schema = {"type": "string", "format": kind}
    return OpenApiParameter("cursor", schema, description="The value of `next` from the previous page.")


PAGE = (LIMIT, cursor("cursor"))
ORDER = OpenApiParameter(
    "order",
    {"type": "string", "enum": ["asc", "desc"], "default": "asc"},
    description="`asc`: oldest first. `desc`: newest first. Send a cursor with the order that it was made for.",
)
RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    {"type": "integer"},
    OpenApiParameter.HEADER,
    description="How many seconds to wait.",
    required=True,
    response=[429],
)


def uuid_parameter(name: str, description: str) -> OpenApiParameter:
    """Return a path parameter for an id that the service generated."""
    return _path(name, {"type": "string", "format": "uuid"}, description)


def operation(
    name: str,
    summary: str,
    *,
    tag: str,
    answers: Answers,
    fails: Sequence[int] = (),
    bodies: Answers | None = None,
    request: Any = None,
    parameters: Sequence[OpenApiParameter] = (),
    public: bool = False,
) -> Callable[[Any], Any]:
    """Return a decorator that describes one operation.

    Args:
        name: its operationId.
        answers: responses of a successful call.
        fails: error statuses, in addition to those of every operation of its kind.
        bodies: error responses with their own body or description.
        request: the serializer of the request body, or None without one.
        public: whether it needs no credential.
    """
    standard = {*fails, *(() if public else ALWAYS), *(WITH_BODY if request else ())}
    found = {status: (ErrorSerializer, FAILURES[status]) for status in standard}
    responses = {**answers, **dict(sorted((found | dict(bodies or {})).items()))}
    headers = (RETRY_AFTER,) if 429 in responses else ()
    return extend_schema(
        operation_id=name,
        summary=summary,
        tags=[tag],
        request=request,
        parameters=[*parameters, *headers],
        responses={status: OpenApiResponse(body, description) for status, (body, description) in responses.items()},
        auth=[] if public else None,
    )


class BearerScheme(OpenApiAuthenticationExtension):
    """`Authorization: Bearer <key>`."""

    target_class = "core.auth.authentication.ApiKeyAuthentication"
    name = "bearer"

    @override
    def get_security_definition(self, auto_schema: Any) -> Schema:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, created in the admin or with `manage.py create_api_key`.",
        }


class IdentifierSchema(OpenApiSerializerFieldExtension):
    """A client's id in a body."""

    target_class = "core.identifiers.IdentifierField"

    @override
    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        return dict(ID)


class TextSchema(OpenApiSerializerFieldExtension):
    """A string in a body. It must contain more than blanks unless the field allows blank."""

    target_class = "core.api.fields.TextField"

    @override
    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        text: Schema = {"type": "string", "maxLength": self.target.max_length}
        return text if self.target.allow_blank else text | NOT_BLANK


def without_enum_ids(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Remove drf-spectacular's internal `x-spec-enum-id` (postprocessing hook). Enumerations are defined inline."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items() if key != "x-spec-enum-id"}
        return [clean(item) for item in value] if isinstance(value, list) else value

    cleaned: Schema = clean(result)
    return cleaned
