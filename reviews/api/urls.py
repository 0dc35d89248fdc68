from django.urls import path

from reviews.api.pause_views import PauseViewSet
from reviews.api.status_views import InvokeViewSet, StatusViewSet
from reviews.api.views import ResumeViewSet, ReviewViewSet

urlpatterns = [
    path("agent/invoke", InvokeViewSet.as_view({"post": "invoke"})),
    path("agent/resume", ResumeViewSet.as_view({"post": "create"})),
    path("agent/status/<str:user_id>/<str:session_id>/<str:task_id>", StatusViewSet.as_view({"get": "retrieve"})),
    path("reviews", ReviewViewSet.as_view({"get": "list"})),
    path("reviews/<str:pk>", ReviewViewSet.as_view({"get": "retrieve"})),
    path("reviews/<str:pk>/decide", ReviewViewSet.as_view({"post": "decide"})),
    path("reviews/<str:pk>/claim", ReviewViewSet.as_view({"post": "claim"}), name="claim-review"),
    path("reviews/<str:pk>/release", ReviewViewSet.as_view({"post": "release"})),
    path("pauses", PauseViewSet.as_view({"get": "list", "post": "create"})),
    path("pauses/<str:pk>", PauseViewSet.as_view({"delete": "destroy"})),
]
