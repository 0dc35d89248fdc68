"""Review queue and review page in the admin. `reviews.decisions.services` makes the decisions."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models import Interrupt
from core import marks
from core.admin_lists import COUNTED, BoundedSearch
from core.admin_tools import ReadOnly, link
from core.text import visible
from reviews.console import following, page, queue
from reviews.console.forms import BulkForm
from reviews.console.review_page import ReviewPage
from reviews.decisions import bulk, permissions, services
from reviews.models import SOONEST_FIRST, Review


@admin.register(Review)
class ReviewAdmin(ReviewPage, ReadOnly, BoundedSearch, admin.ModelAdmin):
    list_display = (
        *("call", "risk_badge", "arguments", "requester", "in_session", "waiting", "time_left", "claimed_by", "state"),
    )
    list_filter = (queue.TabFilter, queue.RiskFilter, "kind", queue.ToolFilter)
    search_fields = ("tool", "args_text", "task__user_id", "task__session__session_id", "task__task_id")
    whole_terms = ("pk", "task__user_id", "task__task_id")
    ordering = ("-created_at", "-pk")  # in which a search looks for words; lists have the order of `get_ordering`
    list_deferred = (
        *("verdict_text", "answer_args_text", "answer_verdict_text"),
        *("task__result", "task__kept", "task__recalled"),
    )
    extra_lookups = ("task__session__id__exact",)  # sessions link to their reviews
    list_select_related = ("task__session",)
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    preserve_filters = False  # refreshed rows must look like the rows that they replace
    actions = ("approve_selected", "reject_selected")
    actions_on_top = True

    @property
    @override
    def media(self) -> forms.Media:
        """No media of the admin, because the queue has its own script."""
        return forms.Media()

    @override
    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("rows/", view(self.rows_view), name="reviews_review_rows"),
            path("bulk/", view(self.bulk_view), name="reviews_review_bulk"),
            *self.page_urls(),
            *super().get_urls(),
        ]

    @override
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[queue.QueueList]:
        return queue.QueueList

    @override
    def get_paginator(self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **kwargs: Any) -> Any:
        return queue.paginator(request, queryset, per_page)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        """Return the reviews that the reader may see, for lists, counts, search, filters and pages alike."""
        return queue.visible_to(request)

    @override
    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """Return the queue's order, soonest expiry first."""
        return list(SOONEST_FIRST)

    @override
    def get_sortable_by(self, request: HttpRequest) -> Any:
        """Return the columns to sort by: none on tabs that grow without end."""
        return () if request.GET.get("status") in following.CLOSED_TABS else super().get_sortable_by(request)

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @override
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the reader may view reviews. Those who may decide may also view."""
        return bool(request.user.has_perm(permissions.VIEW) or request.user.has_perm(permissions.DECIDE))

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Return whether the reader may decide several reviews at once."""
        return bool(request.user.has_perm(permissions.DECIDE))

    @override
    def action_checkbox(self, obj: Review) -> SafeString:
        """Show invisible characters of the tool's name in the label, which Django shows as they were written."""
        return mark_safe(visible(super().action_checkbox(obj)))

    @admin.display(description=_("call"), ordering="tool")
    def call(self, row: Review) -> str:
        """Return the tool's name, or the kind of question."""
        name = visible(row.tool) or row.get_kind_display()
        return f"{name} ({row.get_kind_display()})" if row.kind == Interrupt.Kind.IN_DOUBT else name

    @admin.display(description=_("risk"), ordering="risk")
    def risk_badge(self, row: Review) -> SafeString:
        """Return the risk as a word and a color."""
        return format_html('<span class="badge risk-{}">{}</span>', row.risk, queue.RISKS.get(row.risk, row.risk))

    @admin.display(description=_("arguments"))
    def arguments(self, row: Review) -> SafeString:
        """Return the arguments in one line, with the number of characters that it does not show."""
        return marks.one_line(page.line(row))

    @admin.display(description=_("requester"), ordering="task__session__user_id")
    def requester(self, row: Review) -> str:
        """Return the owner of the task."""
        return visible(row.task.session.user_id)

    @admin.display(description=_("session"), ordering="task__session__session_id")
    def in_session(self, row: Review) -> SafeString:
        """Return a link to the session."""
        return link("agents_session_change", row.task.session.session_id, row.task.session_id)

    @admin.display(description=_("waiting"), ordering="created_at")
    def waiting(self, row: Review) -> str:
        """Return how long the review has waited, or had waited when it was decided."""
        return timesince(row.created_at, row.answered_at, depth=1)

    @admin.display(description=_("time left"), ordering="expires_at")
    def time_left(self, row: Review) -> Any:
        """Return the time until the review expires, or since when it is overdue."""
        if row.status != Interrupt.Status.PENDING or row.expires_at is None:
            return "–"
        local = timezone.localtime(row.expires_at)
        at = f"{formats.date_format(local, 'SHORT_DATETIME_FORMAT')} {local:%Z}"
        if row.expires_at > timezone.now():
            return format_html('<span title="{}">{}</span>', at, timeuntil(row.expires_at, depth=1))
        since = _("since %(at)s") % {"at": at}
        return format_html('<span class="badge overdue">{}</span> <span class="since">{}</span>', _("overdue"), since)

    @admin.display(description=_("claimed by"), empty_value="–")
    def claimed_by(self, row: Any) -> str | None:
        """Return who has claimed the review, or None."""
        return visible(row.claimed_by_name) if row.claimed_by_name else None

    @admin.display(description=_("status"), ordering="status")
    def state(self, row: Review) -> SafeString:
        """Return the status as a word and a color."""
        return format_html('<span class="badge state-{}">{}</span>', row.status, row.get_status_display())

    @override
    def get_list_display(self, request: HttpRequest) -> Any:
        """Leave the status out on tabs where every review is pending."""
        is_open = request.GET.get("status") not in ("decided", "all")
        return self.list_display[:-1] if is_open else self.list_display

    @admin.action(description=_("Approve the selected calls"), permissions=["decide"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet[Review]) -> HttpResponse | None:
        """Ask for confirmation, with the arguments listed."""
        return self._confirm(request, "accept", queryset)

    @admin.action(description=_("Reject the selected calls"), permissions=["decide"])
    def reject_selected(self, request: HttpRequest, queryset: QuerySet[Review]) -> HttpResponse | None:
        """Ask for the reason, with the arguments listed."""
        return self._confirm(request, "reject", queryset)

    def rows_view(self, request: HttpRequest) -> HttpResponse:
        """Return the current rows of the queue, for the script that polls for new ones."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            changelist: Any = self.get_changelist_instance(request)
        except BadRequest:
            return JsonResponse({"detail": "There is no such list."}, status=400)
        shown = {"cl": changelist, "opts": self.opts}
        return JsonResponse(
            {
                "rows": render_to_string("admin/reviews/review/rows.html", shown, request),
                "tabs": render_to_string("admin/reviews/review/tabs.html", shown, request),
                "pending": changelist.counts[""],
            }
        )

    def bulk_view(self, request: HttpRequest) -> HttpResponse:
        """Decide the reviews that the page of an action listed."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        if request.method != "POST":  # the language was changed on the page, or its address was bookmarked
            return HttpResponseRedirect(following.address("changelist", within=following.within_of(request)))
        seen = bulk.Seen.parse(request.POST.getlist("row"))
        form = BulkForm(request.POST)
        if not form.is_valid():
            kind = "reject" if request.POST.get("kind") == "reject" else "accept"
            return self._bulk_page(request, form, kind, bulk.select(request.user, kind, [one.pk for one in seen]))
        kind, message = form.cleaned_data["kind"], form.cleaned_data["message"]
        outcome = bulk.decide(
            request.user, lambda version: services.Choice(kind, message=message, version=version), kind, seen
        )
        text = _("%(decided)d decided, %(skipped)d skipped") % {
            "decided": outcome.decided,
            "skipped": sum(outcome.skipped.values()),
        }
        level = messages.WARNING if outcome.skipped else messages.SUCCESS
        tags = "decided-bulk" if outcome.decided else ""  # draft.js then deletes the draft of the reason
        self.message_user(request, _told(text, outcome.skipped), level, tags)
        return HttpResponseRedirect(following.address("changelist", within=following.within_of(request)))

    @override
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Reviews"), **(extra_context or {})})

    def _confirm(self, request: HttpRequest, kind: str, queryset: QuerySet[Review]) -> HttpResponse | None:
        """Return the page for several decisions, or None with a message that says why there is none."""
        is_across = request.POST.get("select_across") == "1"
        chosen = (
            queryset.values_list("pk", flat=True)[:COUNTED] if is_across else request.POST.getlist("_selected_action")
        )
        selection = bulk.select(request.user, kind, chosen)
        if selection.is_mixed:
            self.message_user(request, _("Select calls of one tool only."), messages.ERROR)
        elif not selection.rows:
            self.message_user(request, _told(_("Nothing to decide"), selection.left_out), messages.WARNING)
        else:
            return self._bulk_page(request, BulkForm(initial={"kind": kind}), kind, selection)
        return None

    def _bulk_page(self, request: HttpRequest, form: BulkForm, kind: str, selection: bulk.Selection) -> HttpResponse:
        approves = kind == "accept"
        within = following.within_of(request) or following.filter_of(dict(request.GET.lists()))  # or of the list itself
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Approve several calls") if approves else _("Reject several calls"),
            "form": form,
            "bulk_address": following.address("bulk", within=within),
            "queue_address": following.address("changelist", within=within),
            "approves": approves,
            "rows": [(row, self.risk_badge(row), page.arguments(row)) for row in selection.rows],
            "left_out": selection.left_out.items(),
            "tool": selection.tools[0] if selection.tools else "",
        }
        return TemplateResponse(request, "admin/reviews/review/bulk.html", context)


def _told(text: Any, reasons: Any) -> str:
    """Return the text with the reasons why reviews were left out."""
    each = (
        _("%(count)s %(reason)s") % {"count": count, "reason": visible(reason)} for reason, count in reasons.items()
    )
    if told := "; ".join(map(str, each)):
        return str(_("%(text)s (%(reasons)s).") % {"text": text, "reasons": told})
    return str(_("%(text)s.") % {"text": text})
