"""How policy rules change and are used: the only writer of PolicyRule."""

import logging

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from agents.models import ToolCall
from reviews import audit
from reviews.models import AuditEntry, PolicyRule

logger = logging.getLogger(__name__)

Verb = AuditEntry.Verb


def save(rule: PolicyRule, principal: User) -> None:
    """Store a new or changed rule, which has been validated. Calls that wait keep the verdict they have."""
    with transaction.atomic():
        before = PolicyRule.objects.select_for_update(no_key=True).filter(pk=rule.pk).first()
        if before is not None:
            rule.uses = before.uses  # calls may have been counted since the form was shown
        rule.save()
        if before is None:
            verb = Verb.RULE_CREATED
        elif before.enabled == rule.enabled:
            verb = Verb.RULE_CHANGED
        else:
            verb = Verb.RULE_ENABLED if rule.enabled else Verb.RULE_DISABLED
        audit.rule(verb, rule, principal)
    logger.info("%s: %s by %s", rule, verb, principal.get_username())


def switch_off(rule: PolicyRule, principal: User) -> None:
    """It says nothing any more, from the next call on. Also for a rule that is off."""
    with transaction.atomic():
        if PolicyRule.objects.filter(pk=rule.pk, enabled=True).update(enabled=False):
            rule.enabled = False
            audit.rule(Verb.RULE_DISABLED, rule, principal)


def admit(row: ToolCall, rule_id: int) -> bool:
    """Count one use of an allow; False where it allows no more. The caller's transaction enters the call (`row`).

    One conditional update: of two workers that want the last use one gets it.
    """
    rules = PolicyRule.objects.in_force().filter(pk=rule_id, effect=PolicyRule.Effect.ALLOW)
    if not rules.update(uses=F("uses") + 1):
        return False
    audit.let_through(row, rule_id)
    logger.info("task %s: %s let through by rule %s", row.task_id, row.tool, rule_id)
    return True
