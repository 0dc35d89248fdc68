"""Template filter that translates the texts that the service itself has stored in English.

They are stored in English because a model also reads them or because a digest covers them.
"""

from typing import Any

from django import template
from django.utils.translation import gettext, gettext_lazy

from agents.state.interrupts import CLOSED_BY_ITSELF, OWN
from reviews.audit.log import SYSTEM
from reviews.decisions.services import EXPIRED
from reviews.policy.engine import DECLARED, DECLARED_FREE, FAILED, UNCLEAR

register = template.Library()

STORED: dict[str, Any] = {
    SYSTEM: gettext_lazy("system"),
    DECLARED: gettext_lazy("declared by the tool"),
    DECLARED_FREE: gettext_lazy("declared by the tool: no review needed"),
    FAILED: gettext_lazy("the policy could not be evaluated"),
    OWN: gettext_lazy("question from the graph"),
    EXPIRED: gettext_lazy("nobody decided it in time"),
    CLOSED_BY_ITSELF: gettext_lazy("The call ended after all, while it was in doubt; its own result stands."),
}


@register.filter
def told(text: str) -> str:
    """Return the text, translated into the reader's language if the service wrote it."""
    if text.endswith(UNCLEAR):
        return gettext("%(rule)s (unclear)") % {"rule": text.removesuffix(UNCLEAR)}
    return str(STORED.get(text, text))
