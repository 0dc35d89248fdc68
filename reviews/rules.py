"""How policy rules change and are used: the only writer of PolicyRule."""

import logging

from django.db.models import F

from agents.models import ToolCall
from reviews.models import PolicyRule

logger = logging.getLogger(__name__)


def admit(row: ToolCall, rule_id: int) -> bool:
    """Count one use of an allow; False where it allows no more. The caller's transaction enters the call (`row`).

    One conditional update: of two workers that want the last use one gets it.
    """
    rules = PolicyRule.objects.in_force().filter(pk=rule_id, effect=PolicyRule.Effect.ALLOW)
    if not rules.update(uses=F("uses") + 1):
        return False
    logger.info("task %s: %s let through by rule %s", row.task_id, row.tool, rule_id)
    return True
