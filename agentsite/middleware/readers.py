"""Language and time zone of the admin's users. Responses for programs are in English and UTC."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.urls import reverse
from django.utils import timezone, translation
from typing_extensions import override

from core import timezones


def is_for_people(request: HttpRequest) -> bool:
    """Return whether the request is for a page of the admin."""
    return request.path_info.startswith(_admin())


@cache
def _admin() -> str:
    return reverse("admin:index")


class LanguageMiddleware(LocaleMiddleware):
    """Middleware that uses the user's language (cookie, else Accept-Language) in the admin and English elsewhere."""

    @override
    def process_request(self, request: HttpRequest) -> None:
        if is_for_people(request):
            super().process_request(request)
        else:
            translation.activate(settings.LANGUAGE_CODE)  # the thread may still have a previous request's language

    @override
    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Mark the response as one that depends on the language, as LocaleMiddleware does."""
        return super().process_response(request, response) if is_for_people(request) else response


def time_zone(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Show the admin's pages in the time zone that the user has chosen (middleware)."""

    def answer(request: HttpRequest) -> Any:
        if not is_for_people(request):
            return get_response(request)
        chosen = getattr(request.user, "preferences", None)
        with timezone.override(timezones.zone(chosen.time_zone) if chosen else None):
            return get_response(request)

    return answer
