"""Policy rules in the admin, and a dry run of a rule on the last calls."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.policy import RESPONSE_TYPES
from core.text import shortened, visible
from reviews.decisions import permissions
from reviews.models import PolicyRule
from reviews.policy import conditions, dry_run, rules
from reviews.policy.engine import Match

LINE = 80  # characters of a text in a list
RESPONSES = {
    "accept": _("Approve"),
    "edit": _("Approve with changes"),
    "response": _("Answer instead"),
    "reject": _("Reject"),
}
MATCHES = {
    Match.YES: _("Yes"),
    Match.NO: _("No"),
    Match.UNSURE: _("Can't be evaluated"),
    Match.BROKEN: _("The rule failed"),
}


class ConditionsField(forms.CharField):
    """Field with one condition per line, in the syntax of `reviews.policy.conditions`."""

    widget = forms.Textarea(attrs={"rows": 6, "spellcheck": "false"})

    @override
    def prepare_value(self, value: Any) -> Any:
        """Return the stored conditions as lines, or an invalid value as it is."""
        try:
            return conditions.written(conditions.checked(value))
        except ValueError:
            return value

    @override
    def to_python(self, value: Any) -> Any:
        """Return the conditions in their stored form. Raises ValidationError."""
        try:
            return [one.data() for one in conditions.read(value or "")]
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    @override
    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), str(data or "").replace("\r\n", "\n").strip())


class WordsField(forms.CharField):
    """Field for a list of texts, separated by commas."""

    @override
    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    @override
    def to_python(self, value: Any) -> Any:
        return [word.strip() for word in str(value or "").split(",") if word.strip()]

    @override
    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))


class PolicyRuleForm(forms.ModelForm):
    conditions = ConditionsField(
        required=False,
        label=_("Conditions"),
        help_text=format_lazy(
            "{} {}",
            _(
                "Enter one condition per line, for example amount > 1000 or to does not end with @example.com. "
                "All conditions must hold. Values are JSON or plain text. "
                "Use a.b for a field of an object and to[] for the items of a list. Operators:"
            ),
            ", ".join(conditions.OPERATORS),
        ),
    )
    deciders = WordsField(
        initial=["reviewers"],
        label=_("Deciders"),
        help_text=_("Enter requester, reviewers, or a group such as group:Finance. Separate entries with commas."),
    )
    allowed = forms.MultipleChoiceField(
        choices=[(kind, RESPONSES[kind]) for kind in RESPONSE_TYPES],
        initial=RESPONSE_TYPES,
        widget=forms.CheckboxSelectMultiple,
        label=_("Allowed decisions"),
    )

    class Meta:
        model = PolicyRule
        fields = (
            *("name", "position", "enabled", "effect", "tool", "user", "agent", "conditions"),
            *("starts_at", "ends_at", "use_limit", "reason"),
            *("risk", "deciders", "distinct", "seconds", "on_expiry", "allowed"),
        )
        help_texts = {
            "position": _(
                "Rules are checked in ascending order, and the first match applies. "
                "A matching deny rule always takes precedence."
            ),
            "effect": _(
                "If a condition can't be evaluated, for example because an argument is missing, "
                "an allow rule doesn't apply, a deny rule denies the call, and a review rule sends it to reviewers."
            ),
            "tool": _(
                "Case-sensitive pattern: * matches any text, ? any single character, [ab] one of these characters."
            ),
            "user": _("Pattern for the user_id of the task's owner."),
            "use_limit": _("For allow rules: the total number of calls to allow. Leave empty for no limit."),
            "reason": _("For deny rules: the reason that the model receives."),
        }


@admin.register(PolicyRule)
class PolicyRuleAdmin(admin.ModelAdmin):
    form = PolicyRuleForm
    list_display = ("position", "title", "effect", "enabled", "tool", "user_", "says", "used", "ends_at")
    list_display_links = ("position", "title")
    list_filter = ("effect", "enabled")
    search_fields = ("name", "tool", "user")
    ordering = ("position", "pk")
    actions = ("switch_off",)
    fieldsets = (
        (None, {"fields": ("name", "position", "enabled", "effect", "reason")}),
        (_("Matching calls"), {"fields": ("tool", "user", "agent", "conditions")}),
        (_("Validity"), {"fields": ("starts_at", "ends_at", "use_limit", "uses", "of_session", "made_from")}),
        (
            _("Review terms"),
            {"fields": ("risk", "deciders", "distinct", "seconds", "on_expiry", "allowed")},
        ),
    )
    readonly_fields = ("uses", "of_session", "made_from")
    change_form_template = "admin/reviews/policyrule/change_form.html"

    @override
    def get_urls(self) -> list[URLPattern]:
        """Add the URL of the page that tries a rule."""
        try_ = path("try", self.admin_site.admin_view(self.try_view), name="reviews_policyrule_try")
        return [try_, *super().get_urls()]

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: rules are only switched off, because the audit log refers to them by id."""
        return False

    @override
    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Place a new rule last."""
        last = PolicyRule.objects.order_by("position").values_list("position", flat=True).last() or 0
        return {"position": max(last, 0) + 10, **super().get_changeform_initial_data(request)}

    @override
    def save_model(self, request: HttpRequest, obj: PolicyRule, form: Any, change: bool) -> None:
        rules.save(obj, request.user)  # type: ignore[arg-type]

    @admin.action(description=_("Switch the selected rules off"), permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[PolicyRule]) -> None:
        """Switch the rules off, effective from the next call."""
        for rule in queryset:
            rules.switch_off(rule, request.user)  # type: ignore[arg-type]
        messages.success(request, _("The selected rules were switched off."))

    def try_view(self, request: HttpRequest) -> HttpResponse:
        """Show what the rule (`?rule=`), as saved or as posted in its form, would have done. Writes nothing."""
        if not self.has_view_permission(request) or not any(
            map(request.user.has_perm, (permissions.VIEW, permissions.DECIDE))
        ):
            raise PermissionDenied
        rule = self.get_object(request, request.GET["rule"]) if request.GET.get("rule") else None
        if rule is None and (request.method != "POST" or "rule" in request.GET):
            raise Http404
        form = None
        if request.method == "POST":
            form = PolicyRuleForm(request.POST, instance=rule)
            rule = form.instance if form.is_valid() else None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("What this rule would have done"),
            "form": form,
            "rule": rule,
            **(_results(rule, request.user) if rule is not None else {}),
        }
        return TemplateResponse(request, "admin/reviews/policyrule/try.html", context)

    @admin.display(description=_("name"), ordering="name")
    def title(self, row: PolicyRule) -> str:
        """Return the rule's name."""
        return visible(row.name)

    @admin.display(description=_("user"), ordering="user")
    def user_(self, row: PolicyRule) -> str:
        """Return the pattern for users."""
        return visible(row.user)

    @admin.display(description=_("conditions"))
    def says(self, row: PolicyRule) -> str:
        """Return the conditions in one line."""
        try:
            lines = conditions.written(row.checked_conditions()).splitlines()
        except ValueError as error:
            return str(error)
        return visible(shortened("; ".join(lines), LINE)) or "-"

    @admin.display(description=_("uses"), ordering="uses")
    def used(self, row: PolicyRule) -> str:
        """Return how many calls the rule has let through, and its limit if it has one."""
        return f"{row.uses}" if row.use_limit is None else f"{row.uses} / {row.use_limit}"

    @admin.display(description=_("limited to session"))
    def of_session(self, row: PolicyRule) -> str:
        """Return the session that the rule is limited to, if any."""
        return visible(str(row.session)) if row.session else "-"


def _results(rule: PolicyRule, principal: Any) -> dict[str, Any]:
    results = dry_run.tried(rule, principal)
    return {
        "last": dry_run.LAST,
        "results": [
            (
                one,
                MATCHES[one.match],
                shortened(json.dumps(one.past.call.args, ensure_ascii=False), LINE),
                PolicyRule.Effect(one.before.action).label,
                PolicyRule.Effect(one.after.action).label,
            )
            for one in results
        ],
        "matching": sum(one.match is not Match.NO for one in results),
        "changing": sum(one.changed for one in results),
    }
