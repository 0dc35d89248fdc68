"""The review queue and the review page. All that is decided here is decided by `reviews.services`."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext_lazy as _

from agents.admin import ReadOnly, link
from agents.models import Interrupt
from agentsite.core.errors import AgentsiteError, Invalid
from agentsite.core.text import shortened, visible
from reviews import page, rights, services
from reviews.forms import DecisionForm
from reviews.models import Review

LINE = 80  # characters of the arguments in the list


class StatusFilter(admin.SimpleListFilter):
    """Pending unless something else is asked for."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Source: django.contrib.admin."""
        others = [(value, label) for value, label in Interrupt.Status.choices if value != Interrupt.Status.PENDING]
        return [("all", _("All")), *others]

    def choices(self, changelist: Any) -> Any:
        """Source: django.contrib.admin, whose first choice is "All"."""
        default, *others = super().choices(changelist)
        yield {**default, "display": _("Pending")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        """Source: django.contrib.admin."""
        if self.value() == "all":
            return queryset
        return queryset.filter(status=self.value() or Interrupt.Status.PENDING)


@admin.register(Review)
class ReviewAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("call", "risk", "arguments", "requester", "in_session", "waiting", "time_left", "status")
    list_filter = (StatusFilter, "risk", "kind", "tool")
    search_fields = ("tool", "args_text", "task__session__user_id", "task__session__session_id", "task__task_id")
    list_select_related = ("task__session",)
    list_per_page = 50

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """Source: django.contrib.admin. Soonest expiry first."""
        return [F("expires_at").asc(nulls_last=True), "created_at"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Source: django.contrib.admin."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Source: django.contrib.admin. Whoever may decide may look."""
        return bool(request.user.has_perm(rights.VIEW) or request.user.has_perm(rights.DECIDE))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Source: django.contrib.admin. Sessions link to their reviews."""
        return lookup == "task__session__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description=_("call"), ordering="tool")
    def call(self, row: Review) -> str:
        """The tool, or what else is asked."""
        name = visible(row.tool) or row.get_kind_display()
        return f"{name} ({row.get_kind_display()})" if row.kind == Interrupt.Kind.IN_DOUBT else name

    @admin.display(description=_("arguments"))
    def arguments(self, row: Review) -> str:
        """The arguments in one line."""
        shown = ", ".join(f"{name}: {value}" if name else value for name, value in page.arguments(row))
        return visible(shortened(" ".join(shown.split()), LINE))

    @admin.display(description=_("requester"), ordering="task__session__user_id")
    def requester(self, row: Review) -> str:
        """The owner of the task."""
        return visible(row.task.session.user_id)

    @admin.display(description=_("session"), ordering="task__session__session_id")
    def in_session(self, row: Review) -> SafeString:
        """The session, as a link to it."""
        return link("agents_session_change", row.task.session.session_id, row.task.session_id)

    @admin.display(description=_("waiting"), ordering="created_at")
    def waiting(self, row: Review) -> str:
        """For how long it has waited, or had."""
        return timesince(row.created_at, row.answered_at, depth=1)

    @admin.display(description=_("time left"), ordering="expires_at")
    def time_left(self, row: Review) -> Any:
        """Until it expires."""
        if row.status != Interrupt.Status.PENDING or row.expires_at is None:
            return "-"
        return timeuntil(row.expires_at, depth=1) if row.expires_at > timezone.now() else _("overdue")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Source: django.contrib.admin. The review page; a POST is a decision."""
        review = self.get_object(request, object_id)
        if review is None or not rights.may_see(request.user, review):
            raise Http404
        if request.method != "POST":
            return self._page(request, review, DecisionForm(review))
        if not rights.may_decide(request.user, review):
            raise PermissionDenied
        form = DecisionForm(review, request.POST)
        if not form.is_valid():
            return self._page(request, review, form)
        try:
            self._decide(request, review, form)
        except AgentsiteError as error:
            _explain(form, error)
            return self._page(request, Review.objects.select_related("task__session").get(pk=review.pk), form)
        return self._next(request, review)

    def _decide(self, request: HttpRequest, review: Review, form: DecisionForm) -> None:
        if form.cleaned_data["digest"] != review.args_digest:
            raise services.Stale
        decided = services.decide(review.pk, request.user, form.choice())  # type: ignore[arg-type]
        address = reverse("admin:reviews_review_change", args=[review.pk])
        text = _('{}: {} (<a href="{}">look back</a>)')
        messages.success(request, format_html(str(text), decided.get_status_display(), visible(str(review)), address))

    def _page(self, request: HttpRequest, review: Review, form: DecisionForm) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **page.context(review),
            "opts": self.opts,
            "title": str(_("Review")),
            "form": form,
            "allowed": services.allowed_for(request.user, review),
        }
        return TemplateResponse(request, "admin/reviews/review/page.html", context)

    def _next(self, request: HttpRequest, review: Review) -> HttpResponse:
        """To the next review that this person may decide, or to the queue."""
        waiting = Review.objects.filter(status=Interrupt.Status.PENDING).select_related("task__session")
        for other in waiting.order_by(*self.get_ordering(request))[:50]:
            if rights.may_decide(request.user, other):
                return HttpResponseRedirect(reverse("admin:reviews_review_change", args=[other.pk]))
        return HttpResponseRedirect(reverse("admin:reviews_review_changelist"))


def _explain(form: DecisionForm, error: AgentsiteError) -> None:
    """Put the error where the reviewer looks; what they typed stays in the form."""
    if isinstance(error, Invalid) and "errors" in error.extra:
        for field, texts in error.extra["errors"].items():
            for text in texts:
                form.add_error("args", f"{visible(field)}: {visible(text)}")
        return
    detail = error.detail
    if decision := error.extra.get("decision"):
        when = timezone.localtime(decision["at"]).strftime("%Y-%m-%d %H:%M")
        detail = f"{detail} {visible(decision['by'])}: {decision['response_type']}, {when}. Your text is kept below."
    form.add_error(None, detail)
