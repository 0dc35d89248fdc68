"""Admin pages of sessions, tasks and tool calls. All are read-only, except that a task can be cancelled."""

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents import services
from agents.api import history
from agents.models import ACTIVE, Attempt, Session, Status, Task, ToolCall
from agents.observability import admin as observability  # noqa: F401 # registers its page
from agents.usage.admin import Used
from core.admin_lists import BoundedSearch, choices_of, counted
from core.admin_tools import ReadOnly, link
from core.db.distinct import cached_distinct
from core.errors import NotFound
from core.text import readable, shortened, visible

LINE = 80  # characters of a text that are shown in a list
LATEST = 10  # tasks on a session's page
SAID = 40  # messages on a session's page
AGENT = choices_of(_("agent"), "agent", lambda: settings.AGENTS)
TOOL = choices_of(_("tool"), "tool", lambda: cached_distinct(ToolCall, "tool"))
SPEAKERS = {"human": _("user"), "ai": _("agent"), "tool": _("tool"), "system": _("system")}  # by type of message


def talk(said: list[dict[str, Any]]) -> SafeString | str:
    """Render messages with their speakers as HTML, or return "-" if there are none."""
    if not said:
        return "-"
    lines = ((one["type"], SPEAKERS.get(one["type"], one["type"]), visible(history.text_of(one))) for one in said)
    return format_html(
        '<div class="talk">{}</div>', format_html_join("", '<p class="{}"><strong>{}</strong>{}</p>', lines)
    )


class AttemptInline(ReadOnly, admin.TabularInline):
    model = Attempt
    fields = ("token", "worker", "started_at", "ended_at", "outcome", "lease_until")
    readonly_fields = fields
    ordering = ("token",)
    extra = 0


class Doubt:
    """Mixin with a column "in doubt" in words: a boolean column would show a cross for every call that is fine."""

    @admin.display(description=_("in doubt"))
    def in_doubt(self, row: ToolCall) -> Any:
        """Return "Yes" if it is unknown whether the call happened, else "-"."""
        return _("Yes") if row.doubtful else "-"


class ToolCallInline(Doubt, ReadOnly, admin.TabularInline):
    model = ToolCall
    fields = ("call", "arguments", "status", "in_doubt", "runs", "started_at", "finished_at")
    readonly_fields = fields
    ordering = ("started_at",)
    extra = 0

    @admin.display(description=_("tool"))
    def call(self, row: ToolCall) -> SafeString:
        """Return the tool's name as a link to the call."""
        return link("agents_toolcall_change", row.tool, row.pk)

    @admin.display(description=_("arguments"))
    def arguments(self, row: ToolCall) -> str:
        """Return the arguments in one line."""
        return visible(shortened(readable(row.args), LINE))


@admin.register(Session)
class SessionAdmin(ReadOnly, BoundedSearch, admin.ModelAdmin):
    list_display = ("session_id", "user", "active", "task_count", "created_at", "memories")
    list_filter = ("created_at",)
    search_fields = ("user_id", "session_id", "title")
    whole_terms = ("pk", "user_id", "session_id")
    ordering = ("-created_at",)
    sortable_by = ("user", "created_at")
    fields = (
        *("session_id", "user", "name", "created_at", "active", "task_count", "latest_tasks", "memories"),
        "conversation",
    )
    readonly_fields = fields
    of_tasks = ("latest_tasks", "conversation")

    @override
    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out the fields that show tasks if the user may not view tasks."""
        may_see = request.user.has_perm("agents.view_task")
        return [name for name in self.fields if may_see or name not in self.of_tasks]

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        """Annotate the number of tasks and the active task's status, in one query."""
        active = Task.objects.filter(session=OuterRef("pk"), status__in=ACTIVE)
        return (
            super()
            .get_queryset(request)
            .annotate(
                tasks_=counted(Task.objects.all(), "session"),
                active_=Subquery(active.values("status")[:1]),
            )
        )

    @admin.display(description=_("user"), ordering="user_id")
    def user(self, row: Session) -> SafeString:
        """Return the owner as a link to all of their sessions."""
        return link("agents_session_changelist", row.user_id, query=f"?{urlencode({'q': row.user_id})}")

    @admin.display(description=_("title"))
    def name(self, row: Session) -> str:
        """Return the title that the client set, or "-" if there is none."""
        return visible(row.title) or "-"

    @admin.display(description=_("status"))
    def active(self, row: Any) -> Any:
        """Return "Idle" or the status of the active task."""
        return Status(row.active_).label if row.active_ else _("Idle")

    @admin.display(description=_("tasks"))
    def task_count(self, row: Any) -> SafeString:
        """Return the number of tasks as a link to them."""
        return link("agents_task_changelist", row.tasks_, query=f"?session__id__exact={row.pk}")

    @admin.display(description=_("latest tasks"))
    def latest_tasks(self, row: Session) -> SafeString | str:
        """Return the latest tasks, each as a link with its status and the beginning of its query."""
        tasks = row.tasks.only("session", "task_id", "status", "query").order_by("-position")[:LATEST]
        lines = (
            (
                link("agents_task_change", one.task_id, one.pk),
                one.get_status_display(),
                visible(shortened(one.query, LINE)),
            )
            for one in tasks
        )
        shown = format_html_join("", "<p>{} · {} · {}</p>", lines)
        return format_html('<div class="lines">{}</div>', shown) if shown else "-"

    @admin.display(description=_("conversation"))
    def conversation(self, row: Session) -> SafeString | str:
        """Return the last messages of its ended tasks. A failed or cancelled task shows the tool calls that it made."""
        return talk(history.latest(row, SAID))

    @admin.display(description=_("memories"))
    def memories(self, row: Session) -> SafeString:
        """Return a link to the owner's memories."""
        return link("memory_memory_changelist", _("memories"), query=f"?{urlencode({'q': row.user_id})}")


@admin.register(Task)
class TaskAdmin(Used, ReadOnly, BoundedSearch, admin.ModelAdmin):
    list_display = ("task_id", "user", "in_session", "status", "question", "attempt_count", "created_at", "updated_at")
    list_filter = ("status", AGENT, "updated_at")
    list_deferred = ("result", "kept", "recalled", "system_message")
    search_fields = ("task_id", "session__session_id", "user_id", "query", "request_id")
    whole_terms = ("pk", "task_id", "user_id", "session__session_id")
    extra_lookups = ("session__id__exact",)  # used by the links from sessions to their tasks
    list_select_related = ("session",)
    ordering = ("-updated_at",)
    sortable_by = ("updated_at",)
    actions = ("cancel",)
    inlines = (ToolCallInline, AttemptInline)
    fields = (
        *("task_id", "user", "in_session", "agent", "status", "told", "asked", "instructions"),
        *("conversation", "remembered", "submitted_by", "request_id", "ran_for", "used", "lapsed"),
        *("created_at", "updated_at"),
    )
    readonly_fields = fields

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        return super().get_queryset(request).annotate(attempts_=counted(Attempt.objects.all(), "task"))

    @admin.display(description=_("user"))
    def user(self, row: Task) -> str:
        """Return the owner."""
        return visible(row.session.user_id)

    @admin.display(description=_("session"))
    def in_session(self, row: Task) -> SafeString:
        """Return the session as a link."""
        return link("agents_session_change", row.session.session_id, row.session_id)

    @admin.display(description=_("query"))
    def question(self, row: Task) -> str:
        """Return the beginning of the query."""
        return visible(shortened(row.query, LINE))

    @admin.display(description=_("query"))
    def asked(self, row: Task) -> str:
        """Return the whole query."""
        return visible(row.query)

    @admin.display(description=_("message"))
    def told(self, row: Task) -> str:
        """Return the message that the client receives, such as an error."""
        return visible(row.message) or "-"

    @admin.display(description=_("system message"))
    def instructions(self, row: Task) -> str:
        """Return the text that the request adds to the agent's system prompt."""
        return visible(row.system_message) or "-"

    @admin.display(description=_("attempts"))
    def attempt_count(self, row: Any) -> int:
        """Return how often a worker has claimed the task."""
        return int(row.attempts_)

    @admin.display(description=_("messages"))
    def conversation(self, row: Task) -> SafeString | str:
        """Return the messages of an ended task."""
        return talk(history.of(row))

    @admin.display(description=_("recalled memories"))
    def remembered(self, row: Task) -> str:
        """Return the memories of the user that the task received."""
        return visible("; ".join(fact["text"] for fact in row.recalled or [])) or "-"

    @admin.display(description=_("run time (seconds)"))
    def ran_for(self, row: Task) -> float:
        """Return the seconds spent in ended attempts. Waiting for people does not count."""
        return round(row.run_seconds, 1)

    @admin.display(description=_("consecutive lapses"))
    def lapsed(self, row: Task) -> int:
        """Return how many leases expired in a row since the last new checkpoint."""
        return row.lapses

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Return whether the user is offered the action `cancel`."""
        return bool(request.user.has_perm("agents.change_task"))

    @admin.action(description=_("Cancel the selected tasks"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        """Cancel the selected tasks that have not ended."""
        for task in queryset.select_related("session"):
            with suppress(NotFound):  # deleted since the query
                services.cancel(task)
        messages.success(request, _("The selected tasks that had not ended were cancelled."))


@admin.register(ToolCall)
class ToolCallAdmin(Doubt, ReadOnly, BoundedSearch, admin.ModelAdmin):
    list_display = ("tool", "user", "of_task", "status", "in_doubt", "approved", "runs", "started_at", "finished_at")
    list_filter = ("status", "doubtful", "reviewed", TOOL, "started_at")
    list_deferred = ("args_text", "result_text", "task__result", "task__kept", "task__recalled", "task__query")
    search_fields = ("tool", "task__task_id", "task__user_id", "args_text")
    whole_terms = ("pk", "tool", "task__task_id", "task__user_id")
    list_select_related = ("task__session",)
    ordering = ("-started_at",)
    sortable_by = ("tool", "started_at")
    fields = (
        *("tool", "of_task", "user", "status", "in_doubt", "approved", "runs", "arguments", "result"),
        *("attempt", "key", "started_at", "finished_at"),
    )
    readonly_fields = fields

    @admin.display(description=_("user"))
    def user(self, row: ToolCall) -> str:
        """Return the owner of the task."""
        return visible(row.task.session.user_id)

    @admin.display(description=_("task"))
    def of_task(self, row: ToolCall) -> SafeString:
        """Return the task as a link."""
        return link("agents_task_change", row.task.task_id, row.task_id)

    @admin.display(description=_("reviewed"))
    def approved(self, row: ToolCall) -> Any:
        """Return "Yes" if a person approved the call, else "-"."""
        return _("Yes") if row.reviewed else "-"

    @admin.display(description=_("idempotency key"))
    def key(self, row: ToolCall) -> str:
        """Return the internal id of the call, which its tool receives as the idempotency key."""
        return str(row.pk)

    @admin.display(description=_("arguments"))
    def arguments(self, row: ToolCall) -> str:
        """Return the arguments that the tool ran with."""
        return visible(readable(row.args))

    @admin.display(description=_("result"))
    def result(self, row: ToolCall) -> str:
        """Return the result that the model received."""
        return visible(readable(row.result)) or "-"
