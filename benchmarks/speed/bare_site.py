"""The limit of the API: a Django site with one view that inserts a row or reads one, and nothing else.

    gunicorn benchmarks.speed.bare_site

No authentication, permissions or middleware. `BARE_DATABASE_URL` names the database.
"""

import os
from typing import Any, ClassVar

import django
import environ
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY="x" * 50,
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={"default": {**environ.Env.db_url_config(os.environ["BARE_DATABASE_URL"]), "CONN_MAX_AGE": None}},
        INSTALLED_APPS=["rest_framework"],
        MIDDLEWARE=[],
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [],
            "DEFAULT_PERMISSION_CLASSES": [],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
            "UNAUTHENTICATED_USER": None,
        },
        ROOT_URLCONF=__name__,
    )
    django.setup(set_prefix=False)

from django.core.wsgi import get_wsgi_application  # these need settings
from django.db import models
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Note(models.Model):  # noqa: DJ008
    """The row: what a client says when it submits a task."""

    user_id = models.CharField(max_length=128)
    session_id = models.CharField(max_length=128)
    task_id = models.CharField(max_length=128)
    query = models.TextField()
    objects: ClassVar[models.Manager["Note"]] = models.Manager()

    class Meta:
        app_label = "bare"
        managed = False


class NoteSerializer(serializers.Serializer[Any]):
    """All fields of the row, without a query to validate them."""

    user_id = serializers.CharField(max_length=128)
    session_id = serializers.CharField(max_length=128)
    task_id = serializers.CharField(max_length=128)
    query = serializers.CharField()


class Notes(APIView):
    """One insert, or one row."""

    def post(self, request: Request) -> Response:
        """Insert a row."""
        serializer = NoteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        note = Note.objects.create(**serializer.validated_data)
        return Response(NoteSerializer(note).data, status=201)

    def get(self, request: Request, **ids: str) -> Response:
        """Read a row."""
        return Response(NoteSerializer(Note.objects.get(**ids)).data)


urlpatterns = [
    path("notes", Notes.as_view()),
    path("notes/<str:user_id>/<str:session_id>/<str:task_id>", Notes.as_view()),
]
application = get_wsgi_application()
