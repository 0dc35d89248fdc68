"""OpenAPI descriptions of the system endpoints."""

from agentsite.api import serializers
from core.api.openapi import LIMIT, operation

TAG = "system"

INDEX = operation(
    "index",
    "Show name and version",
    tag=TAG,
    answers={200: (serializers.IndexSerializer, "Name, version and links.")},
    fails=(406,),
    public=True,
)
HEALTH = operation(
    "health",
    "Check that the process is alive",
    tag=TAG,
    answers={200: (serializers.HealthSerializer, "The process is alive.")},
    fails=(406,),
    public=True,
)
READY = operation(
    "ready",
    "Check that the service is ready",
    tag=TAG,
    answers={200: (serializers.ReadySerializer, "The service is ready.")},
    fails=(401, 406),
    bodies={503: (serializers.NotReadySerializer, "The database is unreachable, or migrations are missing.")},
    public=True,
)
INFO = operation(
    "system_info",
    "Read system figures",
    tag=TAG,
    parameters=[LIMIT],
    answers={
        200: (
            serializers.SystemInfoSerializer,
            "The figures. They can be up to 10 seconds old. A total above 10,000 can include what was deleted "
            "in the last 10 minutes.",
        )
    },
    fails=(400,),
)
