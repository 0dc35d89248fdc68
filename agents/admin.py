"""Sessions, tasks and tool calls to look at. Nothing here is changed by hand but a task that is cancelled."""

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents import services
from agents.api import history
from agents.models import ACTIVE, Attempt, Session, Status, Task, ToolCall, WorkerProcess
from core.admin_tools import ReadOnly, link
from core.errors import NotFound
from core.text import readable, shortened, visible

LINE = 80  # characters of a text in a list
LATEST = 10  # tasks of a session on its page
SAID = 40  # messages on it
SPEAKERS = {"human": _("user"), "ai": _("agent"), "tool": _("tool"), "system": _("system")}  # of the messages


def talk(said: list[dict[str, Any]]) -> SafeString | str:
    """Messages as the pages show them, each with who said it."""
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
    """For what shows tool calls: a cross would stand for all that is well."""

    @admin.display(description=_("in doubt"), ordering="doubtful")
    def in_doubt(self, row: ToolCall) -> Any:
        """Whether nobody knows if it happened."""
        return _("Yes") if row.doubtful else "-"


class ToolCallInline(Doubt, ReadOnly, admin.TabularInline):
    model = ToolCall
    fields = ("call", "arguments", "status", "in_doubt", "runs", "started_at", "finished_at")
    readonly_fields = fields
    ordering = ("started_at",)
    extra = 0

    @admin.display(description=_("tool"))
    def call(self, row: ToolCall) -> SafeString:
        """The tool's name, as a link to the call."""
        return link("agents_toolcall_change", row.tool, row.pk)

    @admin.display(description=_("arguments"))
    def arguments(self, row: ToolCall) -> str:
        """The arguments in one line."""
        return visible(shortened(readable(row.args), LINE))


@admin.register(Session)
class SessionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("session_id", "user", "active", "task_count", "created_at", "memories")
    list_filter = ("created_at",)
    search_fields = ("user_id", "session_id", "title")
    ordering = ("-created_at",)
    fields = (
        *("session_id", "user", "name", "created_at", "active", "task_count", "latest_tasks", "memories"),
        "conversation",
    )
    readonly_fields = fields
    of_tasks = ("latest_tasks", "conversation")

    @override
    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What stands in tasks is for those who may see tasks."""
        may_see = request.user.has_perm("agents.view_task")
        return [name for name in self.fields if may_see or name not in self.of_tasks]

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        """With what the list shows of the tasks, in the one query."""
        active = Task.objects.filter(session=OuterRef("pk"), status__in=ACTIVE)
        return (
            super()
            .get_queryset(request)
            .annotate(
                tasks_=Count("tasks", distinct=True),
                active_=Subquery(active.values("status")[:1]),
            )
        )

    @admin.display(description=_("user"), ordering="user_id")
    def user(self, row: Session) -> SafeString:
        """The owner, as a link to all of their sessions."""
        return link("agents_session_changelist", row.user_id, query=f"?{urlencode({'q': row.user_id})}")

    @admin.display(description=_("title"))
    def name(self, row: Session) -> str:
        """What the client calls it."""
        return visible(row.title) or "-"

    @admin.display(description=_("status"))
    def active(self, row: Any) -> Any:
        """Idle, or the status of the active task."""
        return Status(row.active_).label if row.active_ else _("Idle")

    @admin.display(description=_("tasks"), ordering="tasks_")
    def task_count(self, row: Any) -> SafeString:
        """How many tasks, as a link to them."""
        return link("agents_task_changelist", row.tasks_, query=f"?session__id__exact={row.pk}")

    @admin.display(description=_("latest tasks"))
    def latest_tasks(self, row: Session) -> SafeString | str:
        """The last ones, each as a link to it, with its status and the beginning of what it asks."""
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
        """The last messages of its ended tasks; of one that failed or was cancelled the calls that were made."""
        return talk(history.latest(row, SAID))

    @admin.display(description=_("memories"))
    def memories(self, row: Session) -> SafeString:
        """A link to what is remembered of the owner."""
        return link("memory_memory_changelist", _("memories"), query=f"?{urlencode({'q': row.user_id})}")


@admin.register(Task)
class TaskAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("task_id", "user", "in_session", "status", "question", "attempt_count", "created_at", "updated_at")
    list_filter = ("status", "agent", "updated_at")
    search_fields = ("task_id", "session__session_id", "session__user_id", "query", "request_id")
    extra_lookups = ("session__id__exact",)  # sessions link to their tasks
    list_select_related = ("session",)
    ordering = ("-updated_at",)
    actions = ("cancel",)
    inlines = (ToolCallInline, AttemptInline)
    fields = (
        *("task_id", "user", "in_session", "agent", "status", "told", "asked", "instructions"),
        *("conversation", "remembered", "submitted_by", "request_id", "ran_for", "lapsed"),
        *("created_at", "updated_at"),
    )
    readonly_fields = fields

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        return super().get_queryset(request).annotate(attempts_=Count("attempts"))

    @admin.display(description=_("user"), ordering="session__user_id")
    def user(self, row: Task) -> str:
        """The owner."""
        return visible(row.session.user_id)

    @admin.display(description=_("session"), ordering="session__session_id")
    def in_session(self, row: Task) -> SafeString:
        """The session, as a link to it."""
        return link("agents_session_change", row.session.session_id, row.session_id)

    @admin.display(description=_("query"))
    def question(self, row: Task) -> str:
        """The beginning of the query."""
        return visible(shortened(row.query, LINE))

    @admin.display(description=_("query"))
    def asked(self, row: Task) -> str:
        """The whole query."""
        return visible(row.query)

    @admin.display(description=_("message"))
    def told(self, row: Task) -> str:
        """What the client is told of it, an error for instance."""
        return visible(row.message) or "-"

    @admin.display(description=_("system message"))
    def instructions(self, row: Task) -> str:
        """What the request adds to the agent's system prompt."""
        return visible(row.system_message) or "-"

    @admin.display(description=_("attempts"), ordering="attempts_")
    def attempt_count(self, row: Any) -> int:
        """How often a worker has claimed it."""
        return int(row.attempts_)

    @admin.display(description=_("messages"))
    def conversation(self, row: Task) -> SafeString | str:
        """The messages of an ended task."""
        return talk(history.of(row))

    @admin.display(description=_("recalled memories"))
    def remembered(self, row: Task) -> str:
        """What the task was told about the user."""
        return visible("; ".join(fact["text"] for fact in row.recalled or [])) or "-"

    @admin.display(description=_("seconds run"))
    def ran_for(self, row: Task) -> float:
        """In attempts that have ended: waiting for people does not count."""
        return round(row.run_seconds, 1)

    @admin.display(description=_("lapses in a row"))
    def lapsed(self, row: Task) -> int:
        """Leases that ran out since the last new checkpoint."""
        return row.lapses

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Whether the action `cancel` is offered."""
        return bool(request.user.has_perm("agents.change_task"))

    @admin.action(description=_("Cancel the selected tasks"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        """Cancel what has not ended yet."""
        for task in queryset.select_related("session"):
            with suppress(NotFound):  # it was deleted meanwhile
                services.cancel(task)
        messages.success(request, _("Cancelled, where they had not ended before."))


@admin.register(ToolCall)
class ToolCallAdmin(Doubt, ReadOnly, admin.ModelAdmin):
    list_display = ("tool", "user", "of_task", "status", "in_doubt", "approved", "runs", "started_at", "finished_at")
    list_filter = ("status", "doubtful", "reviewed", "tool", "started_at")
    search_fields = ("tool", "task__task_id", "task__session__user_id", "args_text")
    list_select_related = ("task__session",)
    ordering = ("-started_at",)
    fields = (
        *("tool", "of_task", "user", "status", "in_doubt", "approved", "runs", "arguments", "result"),
        *("attempt", "key", "started_at", "finished_at"),
    )
    readonly_fields = fields

    @admin.display(description=_("user"))
    def user(self, row: ToolCall) -> str:
        """The owner of the task."""
        return visible(row.task.session.user_id)

    @admin.display(description=_("task"))
    def of_task(self, row: ToolCall) -> SafeString:
        """The task, as a link to it."""
        return link("agents_task_change", row.task.task_id, row.task_id)

    @admin.display(description=_("reviewed"), ordering="reviewed")
    def approved(self, row: ToolCall) -> Any:
        """Whether a person let it through."""
        return _("Yes") if row.reviewed else "-"

    @admin.display(description=_("idempotency key"))
    def key(self, row: ToolCall) -> str:
        """Our own id of the call, which its tool gets."""
        return str(row.pk)

    @admin.display(description=_("arguments"))
    def arguments(self, row: ToolCall) -> str:
        """The arguments as they ran."""
        return visible(readable(row.args))

    @admin.display(description=_("result"))
    def result(self, row: ToolCall) -> str:
        """What the model was told."""
        return visible(readable(row.result)) or "-"


@admin.register(WorkerProcess)
class WorkerProcessAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("name", "beat_at", "listened_at")
    ordering = ("-beat_at",)
