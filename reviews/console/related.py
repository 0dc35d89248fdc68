"""Admin pages of sessions and tasks with their reviews, which `agents` itself does not show."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.admin import SessionAdmin, TaskAdmin
from agents.models import Interrupt, Session, Task
from core.admin_lists import counted
from core.admin_tools import ReadOnly, link
from core.text import visible
from reviews.console import queue
from reviews.decisions import permissions
from reviews.models import Review

admin.site.unregister(Session)
admin.site.unregister(Task)


class ReviewInline(ReadOnly, admin.TabularInline):
    """Reviews of a task, for readers who may open their pages."""

    model = Review
    fields = ("review", "kind", "status", "decider", "created_at", "answered_at", "expires_at")
    readonly_fields = fields
    verbose_name_plural = _("reviews")
    ordering = ("created_at",)
    extra = 0

    @admin.display(description=_("review"))
    def review(self, row: Interrupt) -> SafeString:
        """Return a link to the review, named after the tool or the kind of question."""
        return link("reviews_review_change", row.tool or row.get_kind_display(), row.pk)

    @admin.display(description=_("decided by"))
    def decider(self, row: Interrupt) -> Any:
        """Return who decided it: the system if it expired or if the call finished after all."""
        return _("system") if row.answered_by == "system" else visible(row.answered_by) or "-"

    @override
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the reader may view the queue."""
        return bool(request.user.has_perm(permissions.VIEW) or request.user.has_perm(permissions.DECIDE))

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        return queue.visible_to(request).order_by(*(self.ordering or ()))


@admin.register(Task)
class TaskPage(TaskAdmin):
    @override
    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        return [ReviewInline, *super().get_inlines(request, obj)]


@admin.register(Session)
class SessionPage(SessionAdmin):
    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        """Add the number of open reviews that the reader may see."""
        opened = queue.visible_to(request).filter(queue.PENDING)
        return super().get_queryset(request).annotate(open_=counted(opened, "task__session"))

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), "reviews"]

    @override
    def get_list_display(self, request: HttpRequest) -> Any:
        return self._for(request, super().get_list_display(request))

    @override
    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self._for(request, super().get_fields(request, obj))

    @admin.display(description=_("open reviews"))
    def reviews(self, row: Any) -> SafeString:
        """Return the number of open reviews, as a link to the session's reviews."""
        return link("reviews_review_changelist", row.open_, query=f"?status=all&task__session__id__exact={row.pk}")

    def _for(self, request: HttpRequest, names: Any) -> list[str]:
        """Return the columns or fields, with the reviews before the memories if the reader may see reviews."""
        may_see = request.user.has_perm(permissions.VIEW) or request.user.has_perm(permissions.DECIDE)
        place = names.index("memories") if "memories" in names else len(names)
        return [*names[:place], *(["reviews"] if may_see else []), *names[place:]]
