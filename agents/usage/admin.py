"""Admin page of model calls, and their sums on the page of a task."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from agents.api.usage_bodies import amount
from agents.models import ModelCall, Task
from agents.usage import sums
from agents.usage.sums import Sums
from core.admin_lists import BoundedSearch, choices_of
from core.admin_tools import ReadOnly, link
from core.db.distinct import cached_distinct
from core.text import visible

MODEL = choices_of(_("model"), "model", lambda: cached_distinct(ModelCall, "model"))


def in_words(used: Sums) -> str:
    """Return the sums as text, with a note on what they leave out, or "-" if there were no calls."""
    if not used.calls:
        return "-"
    parts = [
        ngettext("%(count)s call", "%(count)s calls", used.calls) % {"count": number_format(used.calls)},
        gettext("%(given)s tokens of input, %(made)s of output")
        % {"given": number_format(used.input_tokens), "made": number_format(used.output_tokens)},
    ]
    if used.cost is not None:
        parts.append(f"{amount(used.cost)} {settings.MODEL_CURRENCY}")
    if used.repeats:
        parts.append(gettext("repeated: %(count)s") % {"count": used.repeats})
    if used.unknown:
        parts.append(gettext("not known: %(count)s") % {"count": used.unknown})
    if used.unpriced:
        parts.append(gettext("without a price: %(count)s") % {"count": used.unpriced})
    return " · ".join(parts)


class Used:
    """Mixin for the page of a task, with what its model calls add up to in the field `used`."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave the field out if the reader may not view model calls."""
        may_see = request.user.has_perm("agents.view_modelcall")
        return [name for name in super().get_fields(request, obj) if may_see or name != "used"]  # type: ignore[misc]

    @admin.display(description=_("usage of models"))
    def used(self, row: Task) -> str:
        """Return the sums of the task's model calls."""
        return in_words(sums.of_task(row))


@admin.register(ModelCall)
class ModelCallAdmin(ReadOnly, BoundedSearch, admin.ModelAdmin):
    list_display = ("named", "user", "of_task", "outcome", "again", "given", "made", "price", "lasted", "started_at")
    list_filter = (MODEL, "started_at")
    list_deferred = ("task__result", "task__recalled", "task__query", "task__system_message")
    search_fields = ("model", "user_id", "session_id", "agent")
    whole_terms = ("pk", "user_id", "task__task_id")
    list_select_related = ("task",)
    ordering = ("-started_at",)
    sortable_by = ("started_at",)
    fields = (
        *("named", "user", "in_session", "of_task", "agent", "attempt", "outcome", "again"),
        *("given", "cached", "made", "reasoned", "price", "lasted", "started_at", "finished_at"),
    )
    readonly_fields = fields

    @admin.display(description=_("model"))
    def named(self, row: ModelCall) -> str:
        """Return the model's name."""
        return visible(row.model)

    @admin.display(description=_("user"))
    def user(self, row: ModelCall) -> str:
        """Return the owner of the task, or "-" after the user was erased."""
        return visible(row.user_id) or "-"

    @admin.display(description=_("session"))
    def in_session(self, row: ModelCall) -> str:
        """Return the client's id of the session, which may no longer exist."""
        return visible(row.session_id) or "-"

    @admin.display(description=_("task"))
    def of_task(self, row: ModelCall) -> SafeString | str:
        """Return the task as a link, or "-" after it was deleted."""
        return link("agents_task_change", row.task.task_id, row.task_id) if row.task is not None else "-"

    @admin.display(description=_("repeats an earlier call"))
    def again(self, row: ModelCall) -> Any:
        """Return "Yes" if the step of the graph had another call before, else "-"."""
        return _("Yes") if row.repeats else "-"

    @admin.display(description=_("input tokens"))
    def given(self, row: ModelCall) -> str:
        """Return the tokens of the input."""
        return _count(row.input_tokens)

    @admin.display(description=_("cached input tokens"))
    def cached(self, row: ModelCall) -> str:
        """Return the tokens of the input that the endpoint had in its cache."""
        return _count(row.cached_tokens)

    @admin.display(description=_("output tokens"))
    def made(self, row: ModelCall) -> str:
        """Return the tokens of the output."""
        return _count(row.output_tokens)

    @admin.display(description=_("reasoning tokens"))
    def reasoned(self, row: ModelCall) -> str:
        """Return the tokens of the output that are reasoning."""
        return _count(row.reasoning_tokens)

    @admin.display(description=_("cost"))
    def price(self, row: Any) -> str:
        """Return what the call cost, or "-" if that is not known."""
        return "-" if row.cost is None else f"{amount(row.cost)} {settings.MODEL_CURRENCY}"

    @admin.display(description=_("seconds"))
    def lasted(self, row: ModelCall) -> str:
        """Return how long the call took, or "-" if it has no answer."""
        return "-" if row.seconds is None else number_format(round(row.seconds, 2))


def _count(tokens: int | None) -> str:
    return "-" if tokens is None else number_format(tokens)
