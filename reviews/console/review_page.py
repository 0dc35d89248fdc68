"""Admin pages of one review. `decisions.services` makes the decisions, as everywhere."""

from copy import copy
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from agents.models import Interrupt
from core.errors import AgentsiteError, Invalid
from core.text import visible
from reviews.console import diff, following, page, previews
from reviews.console.forms import PREVIEW, AlwaysForm, DecisionForm
from reviews.decisions import claims, permissions, services
from reviews.models import Review
from reviews.policy import rules

CLAIMED = _("The remaining reviews are claimed by others.")


class ReviewPage:
    """Mixin for the ModelAdmin of reviews with the views of a single one."""

    admin_site: Any
    opts: Any
    get_object: Any
    get_changelist_instance: Any
    has_view_permission: Any

    def page_urls(self) -> list[Any]:
        """Return the URLs of these pages."""
        view = self.admin_site.admin_view
        return [
            path("first/", view(self.first_view), name="reviews_review_first"),
            path("<path:object_id>/next/", view(self.next_view), name="reviews_review_next"),
            path("<path:object_id>/claim/", view(self.claim_view), name="reviews_review_claim"),
            path("<path:object_id>/preview/", view(self.preview_view), name="reviews_review_preview"),
            path("<path:object_id>/always/", view(self.always_view), name="reviews_review_always"),
        ]

    def first_view(self, request: HttpRequest) -> HttpResponse:
        """Redirect to the first review that this person may decide, or to the queue."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        listed = self._listed(request)
        found = following.candidates(request.user, listed).first()
        if found is None and following.are_claimed(request.user, listed):
            messages.info(request, CLAIMED)
        return _to(found, following.within_of(request))

    def next_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Redirect to the review after this one, or to the queue. Changes nothing."""
        review = self._review(request, object_id)
        found = self._next(request, review, wrap=False)
        if found is None:
            claimed = following.are_claimed(request.user, self._listed(request))
            messages.info(request, CLAIMED if claimed else _("That was the last review in the queue."))
        return _to(found, following.within_of(request))

    def claim_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take over or release a claim."""
        review = self._posted(request, object_id)
        within = following.within_of(request)
        try:
            if request.POST.get("claim") == "release":
                claims.release(review.pk, request.user)  # type: ignore[arg-type]
                messages.success(request, _("Claim released."))
                return _to(None, within)
            claims.claim(review.pk, request.user, take_over=True)  # type: ignore[arg-type]
        except AgentsiteError as error:
            messages.error(request, error.detail)
        return _to(review, within)

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return what the call would do with the arguments as typed. Decides nothing."""
        review = self._posted(request, object_id)
        if "edit" not in services.allowed_for(request.user, review) and not permissions.may_override(
            request.user, review
        ):
            raise PermissionDenied
        form = DecisionForm(review, request.POST)
        preview = _preview(review, form)
        return JsonResponse({"preview": preview or "", "is_late": preview is None})

    def always_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Add a rule that lets exactly the approved call through from now on, within limits."""
        review = self._posted(request, object_id)
        form = AlwaysForm(request.POST)
        if not form.is_valid():
            return self._page(request, review, DecisionForm(review), always=form)
        data = form.cleaned_data
        until = timezone.now() + timedelta(days=data["days"])
        try:
            rule = rules.allow_always(review, request.user, scope=data["scope"], until=until, uses=data["uses"])  # type: ignore[arg-type]
        except AgentsiteError as error:
            form.add_error(None, error.detail)
            return self._page(request, review, DecisionForm(review), always=form)
        address = reverse("admin:reviews_policyrule_change", args=[rule.pk])
        text = _(
            'From now on, <a href="{}">a rule</a> allows this exact call without a review. You can switch the rule off.'
        )
        messages.success(request, format_html(str(text), address))
        return _to(review, following.within_of(request))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the review page; decide the review on POST."""
        review = self._review(request, object_id)
        overrides = review.status == Interrupt.Status.PENDING and permissions.may_override(request.user, review)
        if request.method != "POST":
            return self._page(request, review, DecisionForm(review, overrides=overrides))
        if not overrides and not permissions.may_decide(request.user, review):
            raise PermissionDenied
        form = DecisionForm(review, request.POST, overrides=overrides)
        if not form.is_valid() or form.cleaned_data["response_type"] == PREVIEW:
            return self._page(request, review, form)
        try:
            self._decide(request, review, form)
        except AgentsiteError as error:
            _explain(form, error)
            return self._page(request, Review.objects.select_related("task__session").get(pk=review.pk), form)
        return _to(self._next(request, review, wrap=True), following.within_of(request))

    def _review(self, request: HttpRequest, object_id: str) -> Review:
        review: Review | None = self.get_object(request, object_id)
        if review is None:
            raise Http404
        return review

    def _listed(self, request: HttpRequest) -> QuerySet[Review]:
        """Return the list that the reader came from. Raises the same as a changelist with an invalid filter."""
        asked = copy(request)
        asked.GET = following.waiting_list(following.within_of(request))  # type: ignore[assignment]
        listed: QuerySet[Review] = self.get_changelist_instance(asked).queryset
        return listed

    def _next(self, request: HttpRequest, review: Review, *, wrap: bool) -> Review | None:
        """Return the review after this one in the list that the reader came from."""
        found = following.candidates(request.user, self._listed(request))
        in_own_order = following.is_sorted(following.within_of(request))
        return following.after(found, review, in_own_order=in_own_order, wrap=wrap)

    def _posted(self, request: HttpRequest, object_id: str) -> Review:
        if request.method != "POST":
            raise PermissionDenied
        return self._review(request, object_id)

    def _decide(self, request: HttpRequest, review: Review, form: DecisionForm) -> None:
        if review.status == Interrupt.Status.PENDING and not form.is_seen:
            raise services.Stale
        decided = services.decide(review.pk, request.user, form.choice())  # type: ignore[arg-type]
        address = reverse("admin:reviews_review_change", args=[review.pk])
        text = _('{}: {} (<a href="{}">view</a>)')
        told = format_html(str(text), decided.get_status_display(), visible(str(review)), address)
        if rules.can_allow_always(decided, request.user):  # type: ignore[arg-type]
            told += format_html(' · <a href="{}#always">{}</a>', address, _("always allow…"))
        messages.success(request, told, extra_tags=f"decided-{review.pk}")  # draft.js then deletes its draft

    def _page(
        self, request: HttpRequest, review: Review, form: DecisionForm, *, always: AlwaysForm | None = None
    ) -> HttpResponse:
        overrides = form.overrides and review.status == Interrupt.Status.PENDING  # someone else may have decided it
        allowed = services.allowed(review) if overrides else services.allowed_for(request.user, review)
        within = following.within_of(request)
        context = {
            **self.admin_site.each_context(request),
            "queue_address": following.address("changelist", within=within),
            "next_address": following.address("next", review.pk, within=within),
            "claim_form_address": following.address("claim", review.pk, within=within),
            "always_address": following.address("always", review.pk, within=within),
            **page.context(review, request.user),
            "opts": self.opts,
            "title": visible(str(review)),
            "form": form,
            "is_edited": form.is_edited,
            "preview": _preview(review, form) or "",
            "allowed": allowed,
            "overrides": overrides,
            "can_approve": "accept" in allowed or "edit" in allowed,
            "always": (always or AlwaysForm()) if rules.can_allow_always(review, request.user) else None,  # type: ignore[arg-type]
            "typed_texts": [form["message"].value(), form["answer"].value()] if form.is_bound else [],
            "typed": diff.between(form.arguments.asked, form.arguments.args) if form.is_bound else [],
        }
        return TemplateResponse(request, "admin/reviews/review/page.html", context)


def _preview(review: Review, form: DecisionForm) -> str | None:
    """Return what the call would do, as decided or as typed; empty or None as for `previews.of_edit`."""
    if review.status != Interrupt.Status.PENDING:
        return previews.of_decided(review)
    if not form.is_edited:
        return review.description
    return "" if form.arguments.errors else previews.of_edit(review, form.arguments.args)


def _to(review: Review | None, within: str = "") -> HttpResponse:
    """Redirect to this review, or to the queue, within the list that the reader came from."""
    if review is None:
        return HttpResponseRedirect(following.address("changelist", within=within))
    return HttpResponseRedirect(following.address("change", review.pk, within=within))


def _explain(form: DecisionForm, error: AgentsiteError) -> None:
    """Add the error to the form and to the fields that it concerns. What the reviewer typed stays."""
    if isinstance(error, Invalid) and "errors" in error.extra:
        for field, texts in error.extra["errors"].items():
            for text in texts:
                (form if field in form.fields else form.arguments).add_error(field, text)
        form.add_error(None, error.detail)
        return
    detail = error.detail
    decided = error.review if isinstance(error, services.AlreadyDecided) else None
    if decided is not None and decided.answered_at is not None:
        when = timezone.localtime(decided.answered_at).strftime("%Y-%m-%d %H:%M %Z")
        said = {"by": visible(decided.answered_by), "what": Interrupt.Status(decided.status).label, "when": when}
        detail = _("%(by)s decided first: %(what)s, %(when)s. Your input is kept below.") % said
    form.add_error(None, detail)
