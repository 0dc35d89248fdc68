"""The forms of the review page and of deciding several at once."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from agents.terms import RESPONSE_TYPES
from reviews.models import Review
from reviews.schema_fields import unix
from reviews.schema_form import ArgumentsForm
from reviews.services import MESSAGE_LIMIT, Choice, allowed

APPROVE = ("accept", "edit", "confirm")  # one button: whether it is an edit, the arguments say
PREVIEW = "preview"  # decides nothing: shows the changes where no script does


class UnstrippedText(forms.CharField):
    """Text as it was typed: what a browser does to line ends is undone, and nothing is stripped."""

    def __init__(self, rows: int, **kwargs: Any) -> None:
        widget = forms.Textarea(attrs={"rows": rows})
        super().__init__(strip=False, required=False, widget=widget, **kwargs)

    def to_python(self, value: Any) -> str:
        """Source: django.forms."""
        return unix(str(super().to_python(value) or ""))


class DecisionForm(forms.Form):
    """One decision on one review, in the version that was shown."""

    response_type = forms.ChoiceField(choices=[(kind, kind) for kind in (*RESPONSE_TYPES, "confirm", PREVIEW)])
    version = forms.IntegerField(widget=forms.HiddenInput)
    digest = forms.CharField(widget=forms.HiddenInput)
    message = UnstrippedText(3, label=_("Reason for rejecting"), max_length=MESSAGE_LIMIT)
    answer = UnstrippedText(3, label=_("Answer in place of the tool"), max_length=MESSAGE_LIMIT)
    confirmed = forms.BooleanField(required=False)

    def __init__(self, review: Review, data: Any = None) -> None:
        super().__init__(data, initial={"version": review.version, "digest": review.args_digest})
        self.review = review
        self.can_edit = "edit" in allowed(review)
        self.arguments = ArgumentsForm(review.args_schema, review.args, data if self.can_edit else None)
        self.asks_once_more = False

    def clean(self) -> dict[str, Any]:
        """Source: django.forms. A reject needs its reason here and an answer its text; a high risk asks once more."""
        data = dict(super().clean() or {})
        kind = data.get("response_type")
        if kind in APPROVE:
            self._clean_approval(data, is_confirmed=kind == "confirm" or bool(data.get("confirmed")))
        elif kind == "reject" and not data.get("message", "").strip():
            self.add_error("message", _("Say why: the agent tells its user."))
        elif kind == "response" and not data.get("answer", "").strip():
            self.add_error("answer", _("Write what the agent is to get in place of the tool's result."))
        return data

    @property
    def is_seen(self) -> bool:
        """Whether what was shown is what there is."""
        data = self.cleaned_data
        return bool(data["digest"] == self.review.args_digest and data["version"] == self.review.version)

    def choice(self) -> Choice:
        """The validated decision."""
        data = self.cleaned_data
        kind = data["response_type"]
        args = {"edit": self.arguments.args, "response": data["answer"]}.get(kind)
        return Choice(kind, args, data["message"] if kind == "reject" else "", data["version"])

    def _clean_approval(self, data: dict[str, Any], *, is_confirmed: bool) -> None:
        if not self.arguments.validate():
            self.add_error(None, _("Some arguments do not fit the tool. Nothing was decided."))
        elif self.review.risk == "high" and not is_confirmed and not self.errors:
            self.asks_once_more = True
            self.add_error("confirmed", _("This is a high-risk call. Check it once more."))
        data["response_type"] = "edit" if self.arguments.is_changed else "accept"


class BulkForm(forms.Form):
    """One decision on several reviews, in the versions that were shown."""

    kind = forms.ChoiceField(choices=[("accept", "accept"), ("reject", "reject")], widget=forms.HiddenInput)
    message = UnstrippedText(3, label=_("Reason for rejecting"), max_length=MESSAGE_LIMIT)

    def clean(self) -> dict[str, Any]:
        """Source: django.forms."""
        data = dict(super().clean() or {})
        if data.get("kind") == "reject" and not data.get("message", "").strip():
            self.add_error("message", _("Say why: the agent tells its user."))
        return data
