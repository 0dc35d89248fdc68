"""The OpenAPI schema at /schema and the Swagger UI at /docs."""

from typing import Any

from csp.constants import SELF
from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override


class JsonErrors(APIView):
    """Base view whose errors are JSON, independent of its renderers."""

    @override
    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return response


class SchemaView(JsonErrors, SpectacularAPIView):
    """OpenAPI schema as YAML or JSON, depending on the Accept header."""

    @extend_schema(exclude=True)
    @override
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Serve the schema without drf_spectacular's parameters `lang` and `version`: both take any text."""
        return Response(self.generator_class(urlconf=self.urlconf).get_schema(request=request, public=True))


# The UI's stylesheet embeds images as data: URLs.
@method_decorator(csp_update({"img-src": [SELF, "data:"]}), name="dispatch")
class DocsView(JsonErrors, SpectacularSwaggerSplitView):
    """Swagger UI from our own static files. Its script is a separate request because the CSP forbids inline scripts."""

    template_name = "agentsite/docs.html"
    url_self = "/docs"
