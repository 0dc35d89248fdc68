"""What several packages' pages in the admin have in common."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.text import visible


def link(name: str, text: Any, *args: Any, query: str = "") -> SafeString:
    """A link to one of the admin's own pages."""
    return format_html('<a href="{}{}">{}</a>', reverse(f"admin:{name}", args=args), query, visible(str(text)))


class ReadOnly:
    """For admins and inlines that only show."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
