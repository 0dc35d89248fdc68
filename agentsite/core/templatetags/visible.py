"""`{{ text|visible }}`: text that a model, a tool or a user wrote, with nothing hidden in it."""

from typing import Any

from django import template

from agentsite.core.text import visible as marked

register = template.Library()


@register.filter
def visible(value: Any) -> str:
    """Plain text for the page; autoescaping does the rest."""
    return marked(str(value))
