"""OpenAPI descriptions of the system endpoints."""

from rest_framework import serializers

from agents.api.openapi import WIRE_STATUSES, PausedSerializer
from core.api.openapi import LIMIT, ErrorSerializer, operation

TAG = "system"


class IndexSerializer(serializers.Serializer):
    """What this is, and where to go on."""

    name = serializers.CharField()
    version = serializers.CharField()
    docs = serializers.CharField()
    schema = serializers.CharField()
    admin = serializers.CharField()
    health = serializers.CharField()


class HealthSerializer(serializers.Serializer):
    """That the process answers."""

    status = serializers.ChoiceField(["healthy"])
    message = serializers.CharField()


class ReadySerializer(serializers.Serializer):
    """That requests can be served; what follows the message is for those who may see the system."""

    status = serializers.ChoiceField(["ready"])
    message = serializers.CharField()
    broker = serializers.ChoiceField(["reachable", "unreachable"], required=False)
    last_heartbeat = serializers.DateTimeField(allow_null=True, required=False, help_text="Of any worker.")
    oldest_pending_seconds = serializers.FloatField(allow_null=True, required=False)
    paused = PausedSerializer(many=True, required=False, help_text="The pauses that are in force.")
    workers_alive = serializers.IntegerField(required=False, help_text="Worker processes heard of in the last minute.")
    workers_listening = serializers.IntegerField(
        required=False, help_text="Of those alive, the ones that take jobs from the broker."
    )
    unreadable_messages = serializers.IntegerField(
        required=False, help_text="Message files that were set aside; 0 with Redis."
    )


class NotReadySerializer(ErrorSerializer):
    """That the database is away or migrations are missing."""

    status = serializers.ChoiceField(["unavailable"], required=False)
    message = serializers.CharField(required=False)


class UserFiguresSerializer(serializers.Serializer):
    """Counts of one user."""

    sessions = serializers.IntegerField()
    tasks = serializers.IntegerField()
    interrupted = serializers.IntegerField()
    last_active = serializers.DateTimeField()


class ReviewFiguresSerializer(serializers.Serializer):
    """How long the queue is."""

    pending = serializers.IntegerField()
    oldest_seconds = serializers.FloatField(allow_null=True)


class SystemInfoSerializer(serializers.Serializer):
    """Counts of the caller's own, or of everything for those who may see the system or act for any user."""

    sessions_count = serializers.IntegerField()
    active_users = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="The ids of their sessions, by user."
    )
    tasks = serializers.DictField(child=serializers.IntegerField(), help_text=f"By status: {', '.join(WIRE_STATUSES)}.")
    users = serializers.DictField(child=UserFiguresSerializer(), help_text="The most recently active ones.")
    reviews = ReviewFiguresSerializer()
    paused = PausedSerializer(many=True, help_text="The pauses in force; of users only the caller's own.")
    workers = serializers.IntegerField(help_text="Worker processes that live.")
    as_of = serializers.DateTimeField()


INDEX = operation(
    "index", "Say what this is", tag=TAG, answers={200: (IndexSerializer, "Name and links.")}, fails=(406,), public=True
)
HEALTH = operation(
    "health",
    "Say that the process answers",
    tag=TAG,
    answers={200: (HealthSerializer, "It does.")},
    fails=(406,),
    public=True,
)
READY = operation(
    "ready",
    "Say whether requests can be served",
    tag=TAG,
    answers={200: (ReadySerializer, "They can.")},
    fails=(401, 406),
    bodies={503: (NotReadySerializer, "The database is away or migrations are missing.")},
    public=True,
)
INFO = operation(
    "system_info",
    "Read the figures of the system",
    tag=TAG,
    parameters=[LIMIT],
    answers={200: (SystemInfoSerializer, "The figures, up to 10 s old.")},
    fails=(400,),
)
