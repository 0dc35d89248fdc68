"""Admin pages of the audit log: list, search by id and export."""

import uuid
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models import Interrupt
from core.admin_lists import COUNTED
from core.admin_tools import ReadOnly, link
from core.text import shortened, visible
from reviews.audit import log
from reviews.models import AuditEntry
from reviews.templatetags.told import told

TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
OUTCOMES: dict[str, Any] = dict(Interrupt.Status.choices)
LARGEST = 2**63 - 1  # largest id of a rule or an entry
SHOWN = 9  # characters of an id that the list shows
PAGES: dict[str, str] = {
    AuditEntry.Kind.REVIEW: "reviews_review_change",
    AuditEntry.Kind.RULE: "reviews_policyrule_change",
    AuditEntry.Kind.TOOL_CALL: "agents_toolcall_change",
    AuditEntry.Kind.PAUSE: "agents_pause_change",
}


class OutcomeFilter(admin.SimpleListFilter):
    """Filter by the outcomes that a review can have, in the reader's language."""

    title = _("outcome")
    parameter_name = "outcome"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        asked = self.value() or ""
        return [*OUTCOMES.items(), *((name, visible(name)) for name in {asked} - {"", *OUTCOMES})]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("at", "who", "verb", "became", "tool_", "kind", "object", "of_task", "rule")
    list_filter = ("verb", OutcomeFilter, "kind", "at")
    search_fields = ("actor",)
    search_help_text = _("ID of a review, a tool call, a task, a rule or an entry, or a username.")
    ordering = ("-pk",)
    list_per_page = 100
    sortable_by = ("rule",)
    fields = (
        *("id", "at", "verb", "became", "who", "actor_id", "kind", "object_id", "version", "task", "rule", "tool_"),
        *("args_digest", "text_digest"),
    )
    readonly_fields = fields

    @override
    def get_urls(self) -> list[URLPattern]:
        """Add the URL of the export."""
        export = path("export/<str:form>", self.admin_site.admin_view(self.export), name="reviews_auditentry_export")
        return [export, *super().get_urls()]

    @override
    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Match exact ids and usernames only, so that the query can use the indexes."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted: list[dict[str, Any]] = [{"actor": term}, {"object_id": term}]
        if key := _uuid(term):
            wanted += [{"object_id": str(key)}, {"task": key}]
        if term.isascii() and term.isdigit() and int(term) <= LARGEST:
            wanted += [{"rule": int(term)}, {"pk": int(term)}]
        # One after the other, because the database reads the whole log for an OR with an order.
        newest = queryset.order_by("-pk")
        found = {pk for one in wanted for pk in newest.filter(**one).values_list("pk", flat=True)[: COUNTED + 1]}
        return queryset.filter(pk__in=found), False

    def export(self, request: HttpRequest, form: str) -> StreamingHttpResponse:
        """Return the entries that match the list's filters and search, as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if form not in TYPES:
            raise Http404
        entries = self.get_changelist_instance(request).get_queryset(request)
        name = {"Content-Disposition": f'attachment; filename="audit.{form}"'}
        return StreamingHttpResponse(log.exported(entries, form), content_type=TYPES[form], headers=name)

    @admin.display(description=_("who"))
    def who(self, row: AuditEntry) -> str:
        """Return the actor's username."""
        return visible(told(row.actor))

    @admin.display(description=_("outcome"), empty_value="-")
    def became(self, row: AuditEntry) -> Any:
        """Return the outcome of a decided review."""
        return OUTCOMES.get(row.outcome, row.outcome)

    @admin.display(description=_("object"))
    def object(self, row: AuditEntry) -> SafeString | str:
        """Return the object's id, as a link if it has a page. The object may no longer exist."""
        text = shortened(row.object_id, SHOWN)
        has_page = row.kind in PAGES and row.verb != AuditEntry.Verb.DENIED  # a denied call has no row
        return link(PAGES[row.kind], text, row.object_id) if has_page else visible(text)

    @admin.display(description=_("task"))
    def of_task(self, row: AuditEntry) -> SafeString | str:
        """Return a link to the task, which may no longer exist."""
        return link("agents_task_change", shortened(str(row.task), SHOWN), row.task) if row.task else "-"

    @admin.display(description=_("tool"))
    def tool_(self, row: AuditEntry) -> str:
        """Return the tool's name."""
        return visible(row.tool) or "-"


def _uuid(text: str) -> Any:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
