"""Serializers of the usage of models."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from typing_extensions import override

from agents.models import Budget
from agents.usage import budget_texts
from agents.usage.sums import Sums
from core.api.outputs import Output


class AmountField(serializers.CharField):
    """An amount of money as a decimal in a string, so that no client rounds it; null if no call has a price."""

    def __init__(self, **kwargs: Any) -> None:
        text = "A decimal, in units of `currency`; null if no call has a price."
        super().__init__(allow_null=True, help_text=text, **kwargs)

    @override
    def to_representation(self, value: Any) -> str:
        return amount(value)


class DecimalTextField(serializers.CharField):
    """A decimal in a string, so that no client rounds it."""

    @override
    def to_representation(self, value: Any) -> str:
        return budget_texts.plain(value)


class UsageSerializer(Output):
    """Sums of calls of models. Each request to a model's endpoint is one call."""

    calls = serializers.IntegerField()
    repeats = serializers.IntegerField(
        help_text="Calls for a step that already had one: after a failure, an unusable answer or a worker's death."
    )
    failed = serializers.IntegerField(help_text="Calls that the endpoint refused, or that did not reach it.")
    unknown = serializers.IntegerField(help_text="Calls that may have cost something, but whose tokens are not known.")
    unpriced = serializers.IntegerField(help_text="Calls with known tokens, but of a model without a price.")
    input_tokens = serializers.IntegerField(help_text="With the cached ones.")
    cached_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField(help_text="With those of reasoning.")
    reasoning_tokens = serializers.IntegerField()
    seconds = serializers.FloatField()
    cost = AmountField()
    currency = serializers.CharField()


class UsageGroupSerializer(UsageSerializer):
    """The usage of one group. It has the fields that identify the group."""

    day = serializers.DateField(required=False)
    user_id = serializers.CharField(required=False, allow_null=True, help_text="Null after the user was erased.")
    agent = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    session_id = serializers.CharField(required=False, allow_null=True)
    task_id = serializers.CharField(required=False)


@extend_schema_serializer(many=False)
class UsageListSerializer(Output):
    """A page of usage by group, in the order of the groups. `total` covers all pages, and deleted tasks as well."""

    first_day = serializers.DateField()
    last_day = serializers.DateField()
    total = UsageSerializer()
    results = UsageGroupSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def amount(value: Decimal) -> str:
    """Return an amount without trailing zeros, in plain digits."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class BudgetSerializer(Output):
    """A budget that applies to a task, in its current period. Amounts are decimals in strings."""

    name = serializers.CharField(source="budget.name")
    scope = serializers.ChoiceField(Budget.Scope.values, source="budget.scope")
    period = serializers.ChoiceField(Budget.Period.values, source="budget.period")
    unit = serializers.ChoiceField(Budget.Unit.values, source="budget.unit")
    limit = DecimalTextField(help_text="With its extensions; an amount of money is in the currency of `usage`.")
    used = DecimalTextField()
    left = DecimalTextField()


def usage(found: Sums) -> dict[str, Any]:
    """Return the body for these sums."""
    return UsageSerializer.of(found, currency=settings.MODEL_CURRENCY)


def group(found: Sums, **key: Any) -> dict[str, Any]:
    """Return the body for the sums of a group with this key."""
    return UsageGroupSerializer.of(found, currency=settings.MODEL_CURRENCY, **key)
