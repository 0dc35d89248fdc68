"""Budgets in the admin: their limits, what is used in the present period, and the extensions."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models import Budget, BudgetExtension, BudgetUse
from agents.state import budgets as states
from agents.state.budgets import State
from agents.usage.budget_texts import plain
from core.text import visible
from reviews import budgets
from reviews.console.budget_facts import measured

Scope = Budget.Scope
SHOWN = 20  # uses and extensions on a budget's page


class BudgetForm(forms.ModelForm):
    """Form of a budget."""

    limit = forms.CharField(
        label=_("Limit"),
        max_length=40,
        help_text=_("A number of calls or tokens, or an amount of money in the currency of MODEL_CURRENCY."),
    )
    assumed = forms.CharField(
        label=_("Count of an unknown call"),
        max_length=40,
        required=False,
        help_text=_(
            "For tokens and money: what a call counts as whose usage or price nobody knows. "
            "Enter what an expensive call costs."
        ),
    )

    class Meta:
        model = Budget
        fields = (
            *("name", "enabled", "scope", "value", "unit", "period"),
            *("warning_share", "breach", "deciders", "requester_may_extend"),
        )
        help_texts = {
            "value": _(
                "For an agent: its name. For a user: the user_id. For a session or a task: its id, or empty for each."
            ),
            "deciders": _("The members of this group who may decide reviews. Empty: all reviewers."),
            "breach": _("Ask: the task pauses, and a reviewer extends the budget, lets it finish or cancels it."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial.update(limit=plain(self.instance.limit), assumed=plain(self.instance.assumed))

    def _post_clean(self) -> None:  # the name is Django's
        """Validate the budget as a whole, amounts included, before its constraints are checked."""
        given = self.cleaned_data
        wrong: dict[str, list[str]] = {}
        for name in self.Meta.fields:
            if name in given:
                setattr(self.instance, name, given[name])
        if not self.errors:
            wrong = budgets.checked(self.instance, given["limit"], given["assumed"])
        for name, texts in wrong.items():
            self.add_error(name if name in self.fields else None, texts)
        if not self.errors:
            given.update(limit=self.instance.limit, assumed=self.instance.assumed)
            super()._post_clean()  # type: ignore[misc]


@admin.register(Budget)
class BudgetAdmin(admin.ModelAdmin):
    form = BudgetForm
    list_display = ("title", "whose", "limited", "used", "state", "breach", "enabled")
    list_filter = ("enabled", "scope", "unit")
    ordering = ("name", "pk")
    fieldsets = (
        (None, {"fields": ("name", "enabled")}),
        (_("Whose use is counted"), {"fields": ("scope", "value", "unit", "period")}),
        (_("Limit"), {"fields": ("limit", "assumed", "warning_share")}),
        (_("When it is used up"), {"fields": ("breach", "deciders", "requester_may_extend")}),
        (_("Use"), {"fields": ("uses", "extensions")}),
    )
    readonly_fields = ("uses", "extensions")

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show use only of a stored budget, and amounts with their units to those who can't change them."""
        if obj is None:
            return self.fieldsets[:-1]
        if self.has_change_permission(request, obj):
            return self.fieldsets
        shown: dict[Any, str] = {"limit": "limited", "assumed": "assumes"}
        return [
            (title, {"fields": [shown.get(name, name) for name in options["fields"]]})
            for title, options in self.fieldsets
        ]

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep what the counted amounts mean."""
        return () if obj is None else (*self.readonly_fields, *budgets.FIXED, "limited", "assumes")

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        return super().get_queryset(request).select_related("deciders")

    @override
    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        budgets.save(obj, request.user)  # type: ignore[arg-type]

    @override
    def delete_model(self, request: HttpRequest, obj: Budget) -> None:
        budgets.delete(obj, request.user)  # type: ignore[arg-type]

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Budget]) -> None:
        for budget in queryset:
            budgets.delete(budget, request.user)  # type: ignore[arg-type]

    @override
    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """List only the budgets. What was counted goes with them, and needs no permission of its own."""
        perms_needed = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        return [visible(str(one)) for one in objs], {self.opts.verbose_name_plural: len(objs)}, perms_needed, []

    @admin.display(description=_("name"), ordering="name")
    def title(self, row: Budget) -> str:
        """Return the budget's name."""
        return visible(row.name)

    @admin.display(description=_("whose use is counted"), ordering="scope")
    def whose(self, row: Budget) -> str:
        """Return the scope, with its name if it has one."""
        return visible(f"{row.get_scope_display()} {row.value}".strip())

    @admin.display(description=_("limit"), ordering="limit")
    def limited(self, row: Budget) -> str:
        """Return the limit with its unit and period."""
        return f"{measured(row.unit, row.limit)} / {row.get_period_display()}"

    @admin.display(description=_("count of an unknown call"))
    def assumes(self, row: Budget) -> str:
        """Return what a call counts as whose usage is not known."""
        return measured(row.unit, row.assumed) if row.assumed else "-"

    @admin.display(description=_("used"))
    def used(self, row: Budget) -> str:
        """Return what is used in the present period, or "-" if the budget counts several subjects apart."""
        state = row_state(row)
        return "-" if state is None else measured(row.unit, state.used)

    @admin.display(description=_("state"))
    def state(self, row: Budget) -> Any:
        """Return whether the budget is used up or nearly so, or "-" if it counts several subjects apart."""
        state = row_state(row)
        if state is None:
            return "-"
        if state.is_breached:
            return _("Used up")
        return _("Nearly used up") if is_near(state) else _("Room left")

    @admin.display(description=_("present use"))
    def uses(self, row: Budget) -> Any:
        """Return what each subject has used in the present period, newest first."""
        found = [(visible(name) or "-", _told(state)) for name, state in present(row, SHOWN)]
        return format_html_join("", "<p>{}: {}</p>", found) if found else _("Nothing was used in this period.")

    @admin.display(description=_("extensions"))
    def extensions(self, row: Budget) -> Any:
        """Return by how much the budget was extended, by whom and when, newest first."""
        newest = BudgetExtension.objects.filter(use__budget=row).order_by("-created_at")[:SHOWN]
        found = [(measured(row.unit, one.amount), visible(one.by_name), date_format(one.created_at)) for one in newest]
        return format_html_join("", "<p>{} · {} · {}</p>", found) if found else "-"


def is_near(state: State) -> bool:
    """Return whether the share of the limit is used at which the budget warns."""
    return state.used * 100 >= state.limit * state.budget.warning_share


def row_state(row: Any) -> State | None:
    """Return the state of a budget with a single subject, computed once, or None."""
    if not hasattr(row, "_state_now"):
        several = row.period == Budget.Period.TASK or row.scope in (Scope.EACH_USER, Scope.SESSION, Scope.TASK)
        found = [] if several else present(row, 1)
        row._state_now = found[0][1] if found else None
    state: State | None = row._state_now
    return state


def present(budget: Budget, limit: int) -> list[tuple[str, State]]:
    """Return the names of the newest subjects in the present period, and their states."""
    start = budget.period_at(timezone.now())
    rows = BudgetUse.objects.filter(budget=budget, period_start=start).select_related("task__session")
    newest = rows.order_by("-task__created_at", "-counted_until", "pk")[:limit]
    return [(states.subject_name(row), states.state_of_use(budget, row)) for row in newest]


def _told(state: State) -> str:
    unit = state.budget.unit
    return _now("%(used)s of %(limit)s") % {"used": measured(unit, state.used), "limit": measured(unit, state.limit)}
