"""Admin pages of webhook endpoints, email subscriptions and deliveries."""

import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminURLFieldWidget
from django.db.models import BooleanField, Case, Exists, OuterRef, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents.models import Task
from core.admin_tools import ReadOnly, link
from core.auth.principals import ACT_FOR_ANY_USER
from core.text import visible
from notifications import outbox
from notifications.events import OFFERED, Event
from notifications.models import Delivery, Endpoint, Subscription, new_secret
from notifications.transports.email import VIEW_BUDGET, VIEW_TASK
from reviews.decisions import permissions

DELIVERIES = "notices_delivery_changelist"


class EventsField(forms.MultipleChoiceField):
    """Choice of one or more events."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=OFFERED, label=_("events"), **kwargs)


class EndpointForm(forms.ModelForm):
    url = forms.URLField(
        label=_("address"),
        max_length=500,
        assume_scheme="https",
        widget=AdminURLFieldWidget,
        help_text=_("An https:// address on the public internet. To allow other networks, set WEBHOOK_ALLOW_NETWORKS."),
    )
    events = EventsField()

    class Meta:
        model = Endpoint
        fields = ("name", "url", "events", "user", "active")
        help_texts = {
            "user": _(
                "Pattern for the user_id of the task's owner. * matches any text, ? matches any single character."
            ),
        }


@admin.register(Endpoint)
class EndpointAdmin(admin.ModelAdmin):
    form = EndpointForm
    list_display = ("name", "url", "user", "active", "note_", "deliveries")
    list_filter = ("active",)
    search_fields = ("name", "url")
    ordering = ("name", "pk")
    actions = ("send_test", "make_new_secret")
    readonly_fields = ("secret", "note_", "deliveries", "created_at")

    @override
    def get_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        """Return the fields. The secret, which a receiver needs, is only for users who may change the endpoint."""
        if obj is None:
            return list(EndpointForm.Meta.fields)
        secret = ["secret"] if self.has_change_permission(request, obj) else []
        return [*EndpointForm.Meta.fields, *secret, "note_", "deliveries", "created_at"]

    @override
    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        """Save the endpoint. Clear its note if it is active."""
        obj.note = "" if obj.active else obj.note
        super().save_model(request, obj, form, change)

    @admin.action(description=_("Send a test to the selected endpoints"), permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        """Send a test to each selected endpoint. The outcome is shown with the deliveries."""
        for endpoint in queryset:
            outbox.send_test(endpoint)
        messages.success(request, _("The tests are being sent. The deliveries show the results."))

    @admin.action(description=_("Generate new secrets for the selected endpoints"), permissions=["change"])
    def make_new_secret(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        """Replace the secrets. From then on the new one signs every try, including retries."""
        for endpoint in queryset:
            Endpoint.objects.filter(pk=endpoint.pk).update(secret=new_secret())
            self.log_change(request, endpoint, [{"changed": {"fields": [gettext("secret")]}}])
        messages.success(
            request, _("New secrets were generated. Copy them from the pages of the endpoints to the receivers.")
        )

    @admin.display(description=_("note"))
    def note_(self, row: Endpoint) -> str:
        """Return why the endpoint was switched off automatically."""
        return gettext(row.note) if row.note else "-"

    @admin.display(description=_("deliveries"))
    def deliveries(self, row: Endpoint) -> str:
        """Return a link to the deliveries of the endpoint."""
        return link(DELIVERIES, _("deliveries"), query=f"?endpoint__id__exact={row.pk}")


class SubscriptionForm(forms.ModelForm):
    events = EventsField(required=False)

    class Meta:
        model = Subscription
        fields = ("user", "events", "high_risk_only", "language")
        help_texts = {"high_risk_only": _("Applies to the events “New review” and “Review nearly expired”.")}


@admin.register(Subscription)
class SubscriptionAdmin(admin.ModelAdmin):
    """Admin of subscriptions. Each staff user manages their own; seeing others' requires the model's permission."""

    form = SubscriptionForm
    list_display = ("user", "address", "high_risk_only", "language")
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email")
    autocomplete_fields = ("user",)
    ordering = ("user__username",)

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Redirect to the user's own subscription, or to adding it, unless they may see others'."""
        if self._manages(request):
            return super().changelist_view(request, extra_context)
        return self._to_own(request) or HttpResponseRedirect(reverse("admin:notices_subscription_add"))

    @override
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the user's own subscription if they have one and may not see others'."""
        to_own = None if self._manages(request) else self._to_own(request)
        return to_own or super().add_view(request, form_url, extra_context)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        rows = super().get_queryset(request)
        return rows if self._manages(request) else rows.filter(user=request.user.pk)

    @override
    def get_fields(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        """Return the fields. The user is included only for those who manage others' subscriptions."""
        own = ["events", "high_risk_only", "language", "address"]
        return ["user", *own] if self._manages(request) else own

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Subscription | None = None) -> list[str]:
        """Make the user of an existing subscription read-only."""
        return ["address", "user"] if obj is not None else ["address"]

    @override
    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Preset the user, and the language in which they read the page."""
        return {"language": get_language(), "user": request.user.pk, **super().get_changeform_initial_data(request)}

    @override
    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        if obj.user_id is None:
            obj.user_id = request.user.pk
        super().save_model(request, obj, form, change)
        if not obj.user.email:
            messages.warning(request, _("This account has no email address. Ask an administrator to add one."))

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_staff)

    @override
    def has_view_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return _is_own(request, obj) or super().has_view_permission(request, obj)

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_staff)  # called on every page, so `add_view` checks whether they have one

    @override
    def has_change_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return _is_own(request, obj) or super().has_change_permission(request, obj)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return _is_own(request, obj) or super().has_delete_permission(request, obj)

    @admin.display(description=_("email address"), ordering="user__email")
    def address(self, row: Subscription) -> str:
        """Return the address of the account, which receives the emails."""
        return visible(row.user.email) if row.user_id and row.user.email else "-"

    def _manages(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request) or super().has_view_permission(request)

    def _to_own(self, request: HttpRequest) -> HttpResponse | None:
        own = Subscription.objects.filter(user=request.user.pk).first()
        return HttpResponseRedirect(reverse("admin:notices_subscription_change", args=[own.pk])) if own else None


def _is_own(request: HttpRequest, obj: Subscription | None) -> bool:
    return bool(request.user.is_staff) and (obj is None or obj.user_id == request.user.pk)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("created_at", "event", "object_", "recipient", "status", "attempts", "last_code", "error", "due_at")
    list_filter = ("status", "event", "endpoint", "created_at")
    list_select_related = ("endpoint", "user")
    search_fields = ("id",)
    search_help_text = _("ID of a delivery (webhook-id), a review or a task.")
    ordering = ("-created_at",)
    show_full_result_count = False
    actions = ("send_again",)
    fields = (
        *("id", "event", "object_", "recipient", "status", "attempts", "last_code", "error", "due_at"),
        *("created_at", "sent_at", "content"),
    )
    readonly_fields = fields

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Annotate a delivery with whether the reader may see its content, which the list does not show."""
        rows = super().get_queryset(request)
        is_list = request.resolver_match is not None and request.resolver_match.url_name == DELIVERIES
        return rows if is_list else rows.annotate(is_open=_is_open_to(request.user))

    @override
    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        """Search for exact ids only, so that the indexes are used."""
        if not search_term.strip():
            return queryset, False
        try:
            key = uuid.UUID(search_term.strip())
        except ValueError:
            return queryset.none(), False
        return queryset.filter(pk=key) | queryset.filter(object_id=key) | queryset.filter(task=key), False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Use Django's check instead of ReadOnly's, because deleting an endpoint deletes its deliveries."""
        return super(ReadOnly, self).has_delete_permission(request, obj)

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Return whether the action `send_again` is offered."""
        return bool(request.user.has_perm("notices.change_delivery"))

    @admin.action(description=_("Send the selected deliveries again"), permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Send the deliveries again under the same ids."""
        count = outbox.again(queryset)
        messages.success(request, _("Deliveries to send again: %(count)d") % {"count": count})

    @admin.display(description=_("about"), ordering="object_id")
    def object_(self, row: Delivery) -> str:
        """Return a link to the review or the task; that of a budget is about the task that has nearly used it up."""
        if row.task_id is None:
            return "-"
        if row.event == Event.BUDGET_NEARLY_USED:
            return link("agents_task_change", row.task_id, row.task_id)
        page = "reviews_review_change" if row.event.startswith("review.") else "agents_task_change"
        return link(page, row.object_id, row.object_id)

    @admin.display(description=_("recipient"))
    def recipient(self, row: Delivery) -> str:
        """Return the endpoint or the user."""
        if row.user is not None:
            return visible(row.user.get_username())
        return str(row.endpoint) if row.endpoint is not None else "-"

    @admin.display(description=_("last error"))
    def error(self, row: Delivery) -> str:
        """Return the error of the last try."""
        return visible(gettext(row.last_error)) if row.last_error else "-"

    @admin.display(description=_("content"))
    def content(self, row: Any) -> Any:
        """Return the body, which names user, session and tool, only if the reader may see its review or task."""
        return visible(row.body) if row.is_open else _("You don't have permission to view the content.")


def _is_open_to(reader: Any) -> Case:
    """Return an expression for whether the reader may see a delivery's review, task or budget; a test has none."""
    tasks = Task.objects.filter(pk=OuterRef("object_id"))
    if not (reader.has_perm(VIEW_TASK) or reader.has_perm(ACT_FOR_ANY_USER)):
        tasks = tasks.filter(user_id=reader.get_username())
    reviews = permissions.visible(reader).filter(pk=OuterRef("object_id"))
    return Case(
        When(task=None, then=Value(value=True)),
        When(event=Event.BUDGET_NEARLY_USED, then=Value(value=reader.has_perm(VIEW_BUDGET))),
        When(event__startswith="review.", then=Exists(reviews)),
        default=Exists(tasks),
        output_field=BooleanField(),
    )
