from django.urls import path

from agents.views import SessionViewSet, TaskViewSet

urlpatterns = [
    path("agent/invoke", TaskViewSet.as_view({"post": "invoke"})),
    path("agent/cancel", TaskViewSet.as_view({"post": "cancel"})),
    path("agent/tasks/<str:user_id>/<str:session_id>", TaskViewSet.as_view({"get": "list"})),
    path("agent/sessionids/<str:user_id>", SessionViewSet.as_view({"get": "list"})),
    path("agent/active/sessionid/<str:user_id>", SessionViewSet.as_view({"get": "active"})),
]
