"""No list of the admin can be asked about a column that it does not show: a walk over all pages and columns.

The pages come from the admin site and the columns from the models, so that new ones are walked without a change here.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import User
from django.db.models import Field, Model
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from core.closed_lookups import ClosedAdmin
from notifications.models import Endpoint
from tests.support.accounts import grant, pages_of

pytestmark = pytest.mark.django_db

# What Django knows for texts, numbers and moments; an unknown look-up of a type is refused as well.
LOOKUPS = (
    *("", "__exact", "__iexact", "__contains", "__icontains", "__startswith", "__istartswith", "__endswith"),
    *("__regex", "__iregex", "__gt", "__gte", "__lt", "__lte", "__in", "__range", "__isnull", "__year", "__date"),
)
# Columns that no page shows to anybody, or only to those who may change the row.
SECRETS = ("password", "secret", "key", "hashed_key", "token", "embedding", "verdict_text", "request_digest")
PAGES = list(admin.site._registry)


def page_of(model: type[Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def columns(model: type[Model]) -> Iterator[str]:
    """Its own columns, those of the models that it refers to, and those of the models that refer to it."""
    for one in model._meta.get_fields(include_hidden=True):
        name = one.name if isinstance(one, Field) else one.get_accessor_name() and one.field.related_query_name()
        if not name:
            continue
        yield name
        if isinstance(one, Field) and one.attname != name:
            yield one.attname
        if one.is_relation and one.related_model:
            yield from (f"{name}__{inner.name}" for inner in one.related_model._meta.concrete_fields)


def offered(model_admin: Any) -> set[str]:
    """The columns that the list's filters, its hierarchy of dates and our own links name."""
    named = {one if isinstance(one, str) else one[0] for one in model_admin.list_filter if not isinstance(one, type)}
    own = {lookup.rpartition("__")[0] for lookup in getattr(model_admin, "extra_lookups", ())}
    return named | own | ({model_admin.date_hierarchy} if model_admin.date_hierarchy else set())


def simple(model_admin: Any) -> set[str]:
    """The parameters of filters that stand for no column."""
    return {one.parameter_name for one in model_admin.list_filter if not isinstance(one, str | tuple)}


def shown(model_admin: Any, client: Client) -> set[str]:
    """The names of what the list and the page of a row show to this reader."""
    request = client.get(page_of(model_admin.model)).wsgi_request
    fields = [
        name for _, options in model_admin.get_fieldsets(request, model_admin.model()) for name in options["fields"]
    ]
    return {*map(str, model_admin.get_list_display(request)), *map(str, fields)}


@pytest.fixture
def root(db: Any) -> Client:
    return pages_of(User.objects.create_superuser("root"))


@pytest.fixture
def request_(root: Client) -> Any:
    return root.get("/admin/").wsgi_request


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label)
def test_a_list_offers_no_lookup_but_those_of_its_filters(request_: Any, model: type[Model]) -> None:
    model_admin = admin.site._registry[model]
    names = simple(model_admin)
    let_through = {
        column
        for column in columns(model)
        for lookup in LOOKUPS
        if f"{column}{lookup}" not in names and model_admin.lookup_allowed(f"{column}{lookup}", "1", request_)
    }
    ends = {f"{name}__id" for name in offered(model_admin)}  # of a relation
    assert let_through <= offered(model_admin) | ends
    assert not [column for column in let_through if column.rpartition("__")[2] in SECRETS]


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label)
def test_a_list_answers_400_to_a_search_for_the_beginning_of_a_column(root: Client, model: type[Model]) -> None:
    own = {name for name in columns(model) if "__" not in name or name.rpartition("__")[2] in SECRETS}
    answers = {name: root.get(page_of(model), {f"{name}__startswith": "a"}).status_code for name in own}
    assert set(answers.values()) == {400}, answers


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label)
def test_what_a_list_filters_by_is_shown(root: Client, model: type[Model]) -> None:
    model_admin = admin.site._registry[model]
    fields = {field.name for field in model._meta.get_fields()}
    links = {lookup.rpartition("__")[0] for lookup in getattr(model_admin, "extra_lookups", ())}
    told = shown(model_admin, root) | shown_in_other_words(model)
    assert {name for name in offered(model_admin) - links if name in fields} <= told


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label)
def test_a_filter_that_is_offered_is_taken(root: Client, model: type[Model]) -> None:
    model_admin = admin.site._registry[model]
    links = getattr(model_admin, "extra_lookups", ())
    filters = [f"{path}__isnull" for path in offered(model_admin) if f"{path}__exact" not in links]
    asked = {**dict.fromkeys(filters, "True"), **dict.fromkeys(links, str(uuid.uuid4()))}
    for lookup, value in asked.items():
        assert root.get(page_of(model), {lookup: value}).status_code == 200, lookup


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label)
def test_a_search_looks_at_nothing_that_is_hidden(model: type[Model]) -> None:
    searched = {name.lstrip("^=@") for name in admin.site._registry[model].search_fields}
    assert not [name for name in searched if name.rpartition("__")[2] in SECRETS]


@pytest.mark.parametrize(
    ("right", "path", "lookup"),
    [
        ("notices.view_endpoint", "notices/endpoint/", "secret__regex"),
        ("otp_totp.view_totpdevice", "otp_totp/totpdevice/", "key__startswith"),
        ("otp_static.view_staticdevice", "otp_static/staticdevice/", "token_set__token__startswith"),
        ("auth.view_user", "auth/user/", "password__startswith"),
        ("auth.view_user", "auth/user/", "totpdevice__key__startswith"),
        ("auth.view_group", "auth/group/", "user__password__startswith"),
        ("core.view_apikey", "core/apikey/", "hashed_key__startswith"),
        ("core.view_apikey", "core/apikey/", "user__password__startswith"),
        ("agents.view_session", "agents/session/", "tasks__interrupts__args_text__contains"),
        ("agents.view_task", "agents/task/", "interrupts__args_text__contains"),
        ("agents.view_task", "agents/task/", "submitted_by__password__startswith"),
        ("agents.view_task", "agents/task/", "result__contains"),
        ("reviews.decide_review", "reviews/review/", "args_text__contains"),
        ("reviews.decide_review", "reviews/review/rows/", "args_text__contains"),
        ("reviews.view_auditentry", "reviews/auditentry/", "args_digest__startswith"),
        ("reviews.view_auditentry", "reviews/auditentry/export/csv", "args_digest__startswith"),
        ("django_celery_results.view_taskresult", "django_celery_results/taskresult/", "traceback__contains"),
    ],
)
def test_a_reader_with_one_right_reads_no_hidden_column(right: str, path: str, lookup: str) -> None:
    reader = pages_of(grant(User.objects.create_user("vera", is_staff=True), right))
    assert reader.get(f"/admin/{path}").status_code == 200
    assert reader.get(f"/admin/{path}", {lookup: "a"}).status_code == 400


def test_a_second_factors_page_is_not_searched_by_an_address_that_it_does_not_show(root: Client) -> None:
    owner = User.objects.create_user("otto", email="hidden@example.com")
    TOTPDevice.objects.create(user=owner, name="phone")
    found = {term: root.get(page_of(TOTPDevice), {"q": term}).context["cl"].result_count for term in ("otto", "hidden")}
    assert found == {"otto": 1, "hidden": 0}


@pytest.mark.parametrize("field", ["secret", "name", "created_at", "nonsense"])
def test_a_popup_names_no_column_to_look_a_row_up_by(root: Client, field: str) -> None:
    endpoint = Endpoint.objects.create(name="crm", url="https://example.com/")
    assert root.get(page_of(Endpoint), {"_to_field": field}).status_code == 400
    value = getattr(endpoint, field, "x")
    assert root.get(f"{page_of(Endpoint)}{value}/change/", {"_to_field": field}).status_code == 400


def test_control_django_itself_lets_the_lookup_through(root: Client, monkeypatch: Any) -> None:
    endpoint = Endpoint.objects.create(name="crm", url="https://example.com/")
    monkeypatch.setattr(ClosedAdmin, "lookup_allowed", ModelAdmin.lookup_allowed)
    answer = root.get(page_of(Endpoint), {"secret__startswith": endpoint.secret[:9]})
    assert (answer.status_code, answer.context["cl"].result_count) == (200, 1)


def shown_in_other_words(model: type[Model]) -> set[str]:
    """Columns that a page shows by a method of another name, as the tests of these pages see."""
    return {
        "Review": {"kind"},
        "AuditEntry": {"outcome", "kind"},
        "ToolCall": {"doubtful", "reviewed"},
        "Delivery": {"endpoint"},
        "Pause": {"scope"},
    }.get(model.__name__, set())
