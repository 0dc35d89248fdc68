"""Template filters that show hidden characters in text that a model, a tool or a user wrote.

`{{ text|visible }}` is plain text, also for attributes. `{{ text|marked }}` names blanks too and is for an element that
keeps line ends. `{{ text|one_line }}` is the beginning of the text and the number of characters that follow.
`{{ text|length_of }}` is its length.
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
    """Return plain text with hidden characters shown. Autoescaping does the rest."""
    return unhidden(str(value))


@register.filter
def marked(value: Any) -> SafeString:
    """Return the whole text, escaped, with marks that can't be mistaken for it."""
    return marks.html(str(value))


@register.filter
def one_line(value: Any) -> SafeString:
    """Return the beginning of the text in one line."""
    return marks.one_line(str(value))


@register.filter
def is_long(value: Any) -> bool:
    """Return whether the text is so long that its length is shown."""
    return len(str(value)) > LONG


@register.filter
def length_of(value: Any) -> str:
    """Return the number of characters of the text, with the unit."""
    return marks.length(str(value))
