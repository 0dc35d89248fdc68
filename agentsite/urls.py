"""All URLs. The REST paths have no trailing slash."""

from django.contrib import admin
from django.urls import include, path
from django.utils.translation import gettext_lazy as _

from agentsite.api import documentation, system
from agentsite.api.metrics import MetricsViewSet

admin.site.site_header = admin.site.site_title = "Agentsite"
admin.site.index_title = _("Overview")
admin.site.enable_nav_sidebar = False  # the lists need the space

handler400 = "agentsite.api.errors.bad_request"
handler403 = "agentsite.api.errors.permission_denied"
handler404 = "agentsite.api.errors.not_found"
handler500 = "agentsite.api.errors.server_error"

urlpatterns = [
    path("", system.OpenViewSet.as_view({"get": "index"})),
    path("schema", documentation.SchemaView.as_view(), name="schema"),
    path("docs", documentation.DocsView.as_view(), name="docs"),
    path("health", system.OpenViewSet.as_view({"get": "health"}), name="health"),
    path("health/ready", system.ReadinessViewSet.as_view({"get": "retrieve"})),
    path("metrics", MetricsViewSet.as_view({"get": "retrieve"})),
    path("system/info", system.SystemInfoViewSet.as_view({"get": "retrieve"})),
    path("", include("agents.api.urls")),
    path("", include("memory.api.urls")),
    path("", include("reviews.api.urls")),
    path("admin/", admin.site.urls),
]
