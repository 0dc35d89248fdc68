"""Helpers for the admin pages of several apps."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.text import visible


def link(name: str, text: Any, *args: Any, query: str = "") -> SafeString:
    """Return a link to a page of the admin."""
    return format_html('<a href="{}{}">{}</a>', reverse(f"admin:{name}", args=args), query, visible(str(text)))


class ReadOnly:
    """Mixin for admins and inlines that only display rows."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
