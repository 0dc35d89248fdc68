from django.urls import path

from agents.api.stream_views import StreamTokenViewSet, StreamViewSet
from agents.api.usage import UsageViewSet
from agents.api.views import SessionViewSet, TaskViewSet

urlpatterns = [
    path("agent/cancel", TaskViewSet.as_view({"post": "cancel"})),
    path("agent/tasks/<str:user_id>/<str:session_id>", TaskViewSet.as_view({"get": "list"})),
    path("agent/task/<str:user_id>/<str:session_id>/<str:task_id>", TaskViewSet.as_view({"delete": "destroy"})),
    path("agent/session", SessionViewSet.as_view({"post": "create"})),
    path(
        "agent/session/<str:user_id>/<str:session_id>",
        SessionViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
    ),
    path("agent/stream/token", StreamTokenViewSet.as_view({"post": "create"})),
    path(
        "agent/stream/<str:user_id>/<str:session_id>/<str:task_id>",
        StreamViewSet.as_view({"get": "task"}),
    ),
    path("agent/session/<str:user_id>/<str:session_id>/stream", StreamViewSet.as_view({"get": "session"})),
    path("agent/sessionids/<str:user_id>", SessionViewSet.as_view({"get": "list"})),
    path("usage", UsageViewSet.as_view({"get": "list"})),
    path("agent/active/sessionid/<str:user_id>", SessionViewSet.as_view({"get": "active"})),
]
