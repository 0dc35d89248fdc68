"""Forms of the review page and of bulk decisions."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models import Interrupt
from agents.policy import RESPONSE_TYPES
from reviews.argument_form.form import ArgumentsForm
from reviews.argument_form.typed_text import unix
from reviews.decisions.services import MESSAGE_LIMIT, Choice, allowed
from reviews.models import Review
from reviews.policy.rules import LONGEST, MOST_USES

APPROVE = ("accept", "edit", "confirm")  # sent by one button; the arguments show whether it is an edit
CHECK_AGAIN: dict[str, Any] = {
    Interrupt.Kind.TOOL_CALL: _("This is a high-risk call. Check it again before you approve it."),
    Interrupt.Kind.IN_DOUBT: _("If the call happened the first time, running it again makes it happen twice."),
}
NO_ANSWER = _("Enter the text that the agent gets instead of the tool's result.")
NO_ANSWER_TO_MODEL = _("Enter what the model is told for its last answer.")
PREVIEW = "preview"  # decides nothing; shows the changes if scripts are off


class UnstrippedText(forms.CharField):
    """Text field that strips nothing and converts the browser's CRLF line ends to LF."""

    def __init__(self, rows: int, **kwargs: Any) -> None:
        widget = forms.Textarea(attrs={"rows": rows})
        super().__init__(strip=False, required=False, widget=widget, **kwargs)

    @override
    def to_python(self, value: Any) -> str:
        return unix(str(super().to_python(value) or ""))


class DecisionForm(forms.Form):
    """Decision on one review, in the version that was shown."""

    response_type = forms.ChoiceField(choices=[(kind, kind) for kind in (*RESPONSE_TYPES, "confirm", PREVIEW)])
    version = forms.IntegerField(widget=forms.HiddenInput)
    digest = forms.CharField(widget=forms.HiddenInput)
    message = UnstrippedText(3, label=_("Reason for rejecting"), max_length=MESSAGE_LIMIT)
    answer = UnstrippedText(3, label=_("Answer in place of the tool"), max_length=MESSAGE_LIMIT)
    amount = forms.CharField(label=_("Extend by"), max_length=40, required=False)
    confirmed = forms.BooleanField(required=False)
    override_reason = UnstrippedText(2, label=_("Reason for deciding your own request"), max_length=MESSAGE_LIMIT)

    def __init__(self, review: Review, data: Any = None, *, overrides: bool = False) -> None:
        super().__init__(data, initial={"version": review.version, "digest": review.args_digest})
        self.review = review
        self.of_budget = review.kind == Interrupt.Kind.BUDGET
        if self.of_budget:
            self.initial.update(amount=review.args["extension"], answer=_("Answer with what you have."))
        self.overrides = overrides  # separation of duties, which requires a reason
        self.can_edit = "edit" in allowed(review)
        self.arguments = ArgumentsForm(review.args_schema, review.args, data if self.can_edit else None)
        self.asks_once_more = False  # the response asks for confirmation

    @property
    def needs_confirmation(self) -> bool:
        """Return whether approval needs confirmation: for a high risk, and for a call that may have run already."""
        return self.review.risk == "high" or self.review.kind == Interrupt.Kind.IN_DOUBT

    @override
    def clean(self) -> dict[str, Any]:
        """Require a reason for a reject or an override, a text for an answer and confirmation of a risky approval."""
        data = dict(super().clean() or {})
        kind = data.get("response_type")
        if kind in APPROVE:
            self._clean_approval(data, is_confirmed=kind == "confirm" or bool(data.get("confirmed")))
        elif kind == "reject" and not data.get("message", "").strip():
            self.add_error("message", _("Enter a reason. The agent passes it on to its user."))
        elif kind == "response" and not data.get("answer", "").strip():
            self.add_error("answer", NO_ANSWER_TO_MODEL if self.of_budget else NO_ANSWER)
        if self.overrides and kind != PREVIEW and not data.get("override_reason", "").strip():
            self.add_error("override_reason", _("Enter a reason. It is stored with the decision."))
        return data

    @property
    def is_edited(self) -> bool:
        """Return whether the arguments differ from the requested ones or can't be read."""
        return self.is_bound and (self.arguments.is_changed or bool(self.arguments.errors))

    @property
    def is_seen(self) -> bool:
        """Return whether the version and the arguments that were shown are still the review's."""
        data = self.cleaned_data
        return bool(data["digest"] == self.review.args_digest and data["version"] == self.review.version)

    def choice(self) -> Choice:
        """Return the validated decision."""
        data = self.cleaned_data
        kind = data["response_type"]
        args: Any = {"edit": self.arguments.args, "response": data["answer"]}.get(kind)
        if kind == "accept" and self.of_budget and data["amount"].strip():
            args = {"amount": data["amount"].strip()}
        message = data["message"] if kind == "reject" else ""
        reason = data["override_reason"] if self.overrides else ""
        return Choice(kind, args, message, data["version"], data["digest"], reason)

    def _clean_approval(self, data: dict[str, Any], *, is_confirmed: bool) -> None:
        if self.of_budget:
            data["response_type"] = "accept"
            return
        if not self.arguments.validate():
            self.add_error(None, _("Some arguments are not valid for the tool. Nothing was decided."))
        elif self.needs_confirmation and not is_confirmed and not self.errors:
            self.asks_once_more = True
            self.add_error("confirmed", CHECK_AGAIN[self.review.kind])
        data["response_type"] = "edit" if self.arguments.is_changed else "accept"


class AlwaysForm(forms.Form):
    """Scope and limits of an *always allow*. `reviews.policy.rules` checks all of them again."""

    scope = forms.ChoiceField(
        label=_("Where"), choices=[("session", _("in this session")), ("user", _("in every session of this user"))]
    )
    days = forms.IntegerField(label=_("Valid for (days)"), min_value=1, max_value=LONGEST.days, initial=7)
    uses = forms.IntegerField(label=_("Maximum number of calls"), min_value=1, max_value=MOST_USES, initial=10)


class BulkForm(forms.Form):
    """Decision on several reviews, in the versions that were shown."""

    kind = forms.ChoiceField(choices=[("accept", "accept"), ("reject", "reject")], widget=forms.HiddenInput)
    message = UnstrippedText(3, label=_("Reason for rejecting"), max_length=MESSAGE_LIMIT)

    @override
    def clean(self) -> dict[str, Any]:
        data = dict(super().clean() or {})
        if data.get("kind") == "reject" and not data.get("message", "").strip():
            self.add_error("message", _("Enter a reason. The agent passes it on to its user."))
        return data
