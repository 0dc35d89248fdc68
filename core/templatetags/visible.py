"""Filters for text that a model, a tool or a user wrote, with nothing hidden in it.

`{{ text|visible }}` is plain text, also for attributes; `{{ text|marked }}` is for an element that keeps line ends and
names blanks too; `{{ text|one_line }}` is its beginning, with how much follows; `{{ text|length_of }}` says how long
it is.
"""

from typing import Any

from django import template
from django.utils.safestring import SafeString

from core import marks
from core.text import visible as unhidden

register = template.Library()

LONG = 80  # characters: about what is read at a glance


@register.filter
def visible(value: Any) -> str:
    """Plain text for the page; autoescaping does the rest."""
    return unhidden(str(value))


@register.filter
def marked(value: Any) -> SafeString:
    """The whole text, escaped, with marks that can't be mistaken for it."""
    return marks.html(str(value))


@register.filter
def one_line(value: Any) -> SafeString:
    """The beginning of the text in one line."""
    return marks.one_line(str(value))


@register.filter
def is_long(value: Any) -> bool:
    """Whether it is said how long the text is."""
    return len(str(value)) > LONG


@register.filter
def length_of(value: Any) -> str:
    """How many characters the text has."""
    return marks.length(str(value))
