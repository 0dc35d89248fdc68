from django.urls import path

from memory.api.views import MemoryViewSet

urlpatterns = [
    path("agent/write/longterm", MemoryViewSet.as_view({"post": "create"})),
    path("agent/longterm/<str:user_id>", MemoryViewSet.as_view({"get": "list"})),
    path(
        "agent/longterm/<str:user_id>/<str:memory_id>",
        MemoryViewSet.as_view({"patch": "partial_update", "delete": "destroy"}),
    ),
]
