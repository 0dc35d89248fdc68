"""The form of the review page."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from agents.terms import RESPONSE_TYPES
from reviews.models import Review
from reviews.services import MESSAGE_LIMIT, Choice


class UnstrippedText(forms.CharField):
    """Text as it was typed: what a browser does to line ends is undone, and nothing is stripped."""

    def __init__(self, rows: int, **kwargs: Any) -> None:
        widget = forms.Textarea(attrs={"rows": rows, "spellcheck": "false"})
        super().__init__(strip=False, required=False, widget=widget, **kwargs)

    def to_python(self, value: Any) -> str:
        """Source: django.forms."""
        return str(super().to_python(value) or "").replace("\r\n", "\n")


class DecisionForm(forms.Form):
    """One decision on one review, in the version that was shown."""

    response_type = forms.ChoiceField(choices=[(kind, kind) for kind in RESPONSE_TYPES])
    version = forms.IntegerField(widget=forms.HiddenInput)
    digest = forms.CharField(widget=forms.HiddenInput)
    args = UnstrippedText(8, label=_("Arguments (JSON)"))
    message = UnstrippedText(2, label=_("Reason for rejecting"), max_length=MESSAGE_LIMIT)
    answer = UnstrippedText(2, label=_("Answer in place of the tool"), max_length=MESSAGE_LIMIT)
    confirmed = forms.BooleanField(required=False, label=_("I have checked this high-risk call"))

    def __init__(self, review: Review, data: Any = None) -> None:
        args = json.dumps(review.args, indent=2, ensure_ascii=False)
        initial = {"version": review.version, "digest": review.args_digest, "args": args}
        super().__init__(data, initial=initial)
        self.review = review

    def clean(self) -> dict[str, Any]:
        """Source: django.forms. A reject needs its reason here and an answer its text; a high risk asks once more."""
        data = dict(super().clean() or {})
        kind = data.get("response_type")
        if kind == "edit":
            data["args"] = self._parsed(data.get("args", ""))
        if kind == "reject" and not data.get("message", "").strip():
            self.add_error("message", _("Say why: the agent tells its user."))
        if kind == "response" and not data.get("answer", "").strip():
            self.add_error("answer", _("Write what the agent is to get in place of the tool's result."))
        if kind in ("accept", "edit") and self.review.risk == "high" and not data.get("confirmed"):
            self.add_error("confirmed", _("Tick this to let a high-risk call run."))
        return data

    def choice(self) -> Choice:
        """The validated decision."""
        data = self.cleaned_data
        args = {"edit": data["args"], "response": data["answer"]}.get(data["response_type"])
        return Choice(data["response_type"], args, data["message"], data["version"])

    def _parsed(self, text: str) -> Any:
        try:
            return json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            self.add_error("args", ValidationError(_("This is no JSON: %(error)s"), params={"error": error}))
            return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
