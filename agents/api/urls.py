from django.urls import path

from agents.api.usage import UsageViewSet
from agents.api.views import SessionViewSet, TaskViewSet

urlpatterns = [
    path("agent/invoke", TaskViewSet.as_view({"post": "invoke"})),
    path("agent/cancel", TaskViewSet.as_view({"post": "cancel"})),
    path("agent/tasks/<str:user_id>/<str:session_id>", TaskViewSet.as_view({"get": "list"})),
    path("agent/task/<str:user_id>/<str:session_id>/<str:task_id>", TaskViewSet.as_view({"delete": "destroy"})),
    path("agent/session", SessionViewSet.as_view({"post": "create"})),
    path(
        "agent/session/<str:user_id>/<str:session_id>",
        SessionViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
    ),
    path("agent/sessionids/<str:user_id>", SessionViewSet.as_view({"get": "list"})),
    path("usage", UsageViewSet.as_view({"get": "list"})),
    path("agent/active/sessionid/<str:user_id>", SessionViewSet.as_view({"get": "active"})),
]
