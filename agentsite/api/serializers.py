"""Serializers of the response bodies of the system endpoints."""

from rest_framework import serializers

from agents.api.serializers import WIRE_STATUSES, PausedSerializer
from agents.api.usage_bodies import UsageSerializer
from core.api.outputs import ConstantField, ErrorSerializer, Output


class IndexSerializer(Output):
    """The name and version of the service, with links."""

    name = serializers.CharField()
    version = serializers.CharField()
    docs = serializers.CharField()
    schema = serializers.CharField()
    admin = serializers.CharField()
    health = serializers.CharField()


class HealthSerializer(Output):
    """The response of a live process."""

    status = ConstantField("healthy")
    message = serializers.CharField()


class ReadySerializer(Output):
    """The service is ready. The optional fields are for callers with the permission `view_system`."""

    status = ConstantField("ready")
    message = serializers.CharField()
    broker = serializers.ChoiceField(["reachable", "unreachable"], required=False)
    last_heartbeat = serializers.DateTimeField(
        allow_null=True, required=False, help_text="The latest heartbeat of any worker."
    )
    oldest_pending_seconds = serializers.FloatField(allow_null=True, required=False)
    paused = PausedSerializer(many=True, required=False, help_text="Pauses in force.")
    workers_alive = serializers.IntegerField(
        required=False, help_text="Worker processes with a heartbeat in the last minute."
    )
    workers_listening = serializers.IntegerField(
        required=False, help_text="Live worker processes that take jobs from the broker."
    )
    unreadable_messages = serializers.IntegerField(
        required=False, help_text="Unreadable message files that were moved away. 0 with Redis."
    )


class StateSerializer(Output):
    """The state of a service that is not ready. Left out if the database is unreachable."""

    status = serializers.ChoiceField(["unavailable"], required=False)
    message = serializers.CharField(required=False)


class NotReadySerializer(StateSerializer, ErrorSerializer):
    """The service is not ready: the database is unreachable, or migrations are missing."""


class UserFiguresSerializer(Output):
    """Figures of one user."""

    sessions = serializers.IntegerField()
    tasks = serializers.IntegerField()
    interrupted = serializers.IntegerField()
    last_active = serializers.DateTimeField()


class ReviewFiguresSerializer(Output):
    """Figures of the review queue."""

    pending = serializers.IntegerField()
    oldest_seconds = serializers.FloatField(allow_null=True)


class UsageFiguresSerializer(Output):
    """Calls of models since the beginning of the day and of the month (UTC)."""

    today = UsageSerializer()
    month = UsageSerializer()


class SystemInfoSerializer(Output):
    """Figures of the caller's own sessions, or of all with the permission `view_system` or `act_for_any_user`."""

    sessions_count = serializers.IntegerField()
    active_users = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Session IDs by user."
    )
    tasks = serializers.DictField(
        child=serializers.IntegerField(), help_text=f"Number of tasks by status: {', '.join(WIRE_STATUSES)}."
    )
    users = serializers.DictField(child=UserFiguresSerializer(), help_text="Figures of the most recently active users.")
    reviews = ReviewFiguresSerializer()
    paused = PausedSerializer(
        many=True, help_text="Pauses in force. Without the permission, pauses of other users are left out."
    )
    usage = UsageFiguresSerializer()
    workers = serializers.IntegerField(help_text="Live worker processes.")
    as_of = serializers.DateTimeField()
