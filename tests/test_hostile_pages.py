"""No address of the admin breaks the service: every list, row and other page with every value of `tests.hostile.pages`.

The addresses come from the URL map. None answers with a 5xx; what is no row is a 404, what can't be one a 400 or 404.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import QueryDict
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from agentsite.api import errors
from core.closed_lookups import ClosedAdmin
from tests.hostile import pages
from tests.support.accounts import pages_of

pytestmark = pytest.mark.django_db

PAGES = list(admin.site._registry)
PARAMETER = re.compile(r"<(?:\w+:)?\w+>")
# Parameters that no filter has a name for.
OWN = (
    *("q", "p", "o", "e", "all", "_facets", "_popup", "_to_field", "_changelist_filters", "_source_model", "next"),
    *("rule", "term", "app_label", "model_name", "field_name", "page", "format", "language", "user", "session"),
)
SHORT = ("a NUL", "bytes", "30 digits")  # of these a service without its guards breaks in a way of its own each
cases = pytest.mark.parametrize(
    "case",
    [
        pytest.param(value, id=name, marks=[] if name in SHORT else pytest.mark.long("postgresql"))
        for name, value in pages.VALUES.items()
    ],
)


def addresses(patterns: Iterable[Any] | None = None, prefix: str = "") -> Iterator[str]:
    """All of the URL map that belongs to the admin."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern).replace("\\Z", "").lstrip("^").removesuffix("$")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and path.startswith("admin/"):
            yield "/" + path


PATHS = sorted({path for path in addresses() if "(?P<" not in path})


def parameters(model: type[Model], client: Client) -> set[str]:
    """The look-ups that the list of this model takes."""
    model_admin: Any = admin.site._registry[model]
    return {*model_admin._offered(client.get("/admin/").wsgi_request), *getattr(model_admin, "extra_lookups", ())}


def get(client: Client, path: str, query: str = "") -> int:
    """The status of the answer. The path is percent-encoded."""
    return client.generic("GET", path, QUERY_STRING=query).status_code


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Each refusal is logged with its traceback, which would take longer than the request."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def root(db: Any) -> Client:
    client = pages_of(User.objects.create_superuser("root", pk=1000))  # no id that a case might name
    client.raise_request_exception = False
    return client


@cases
def test_a_list_takes_any_value_of_its_parameters(root: Client, case: str) -> None:
    answers = {}
    for model in PAGES:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for name in [*parameters(model, root), "q", "p", "o", "_to_field", "all", "_changelist_filters"]:
            answers[f"{path}?{name}"] = get(root, path, f"{name}={case}")
    assert {where: status for where, status in answers.items() if status not in (200, 302, 400, 404)} == {}


@cases
def test_a_value_with_a_nul_is_refused_and_so_is_what_is_no_row(root: Client, case: str) -> None:
    answers = {}
    for model in PAGES:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for page in ("change", "delete", "history"):
            answers[f"{path}…/{page}/"] = get(root, f"{path}{case or '%20'}/{page}/")
        if "%00" in case:
            for name in parameters(model, root):
                answers[f"{path}?{name}"] = get(root, path, f"{name}={case}")
    assert {where: status for where, status in answers.items() if status not in (400, 403, 404)} == {}


@cases
def test_every_other_address_takes_any_id_and_any_parameter(root: Client, case: str) -> None:
    """Of each address of the URL map, with the value in the place of each of its parameters."""
    answers = {}
    for path in PATHS:
        filled = PARAMETER.sub(lambda _: case or "%20", path)
        if "logout" in path:
            continue
        answers[filled] = get(root, filled, "&".join(f"{name}={case}" for name in OWN))
    assert {where: status for where, status in answers.items() if status >= 500} == {}


@cases
def test_an_action_takes_any_id_of_a_row(root: Client, case: str) -> None:
    answers = {}
    for model in PAGES:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        actions = admin.site._registry[model].get_actions(root.get("/admin/").wsgi_request)
        for action in [*actions, case]:
            body = QueryDict(mutable=True)
            body.update({"action": action, "index": "0", "_selected_action": QueryDict(f"a={case}").get("a", "")})
            answers[f"{path} {action}"] = root.post(path, body.dict()).status_code
    assert {where: status for where, status in answers.items() if status not in (200, 302, 400, 403, 404)} == {}


@cases
def test_who_has_not_logged_in_gets_no_error_either(case: str) -> None:
    client = Client(raise_request_exception=False)
    for path in ("/admin/login/", "/admin/", "/admin/auth/user/", f"/admin/auth/user/{case or 'x'}/change/"):
        assert get(client, path, f"next={case}&q={case}") < 500


def test_a_row_that_is_gone_is_a_404_and_a_page_says_so(root: Client) -> None:
    gone = Group.objects.create(name="gone")
    address = f"/admin/auth/group/{gone.pk}/change/"
    assert get(root, address) == 200
    gone.delete()
    answer = root.get(address)
    assert (answer.status_code, "Page not found" in answer.content.decode()) == (404, True)


def test_beyond_the_end_of_a_list_is_its_last_page(root: Client) -> None:
    Group.objects.bulk_create(Group(name=f"g{number:03}") for number in range(150))
    answer = root.get("/admin/auth/group/", {"p": "99"})
    assert (answer.status_code, answer.context["cl"].result_list[0].name) == (200, "g100")


def test_too_long_a_search_finds_nothing_and_says_so(root: Client) -> None:
    answer = root.get("/admin/auth/group/", {"q": "x " * 21})
    assert "at most 20 words" in answer.content.decode()


@pytest.mark.parametrize("debug", [True, False])
def test_the_refusal_is_a_page(root: Client, settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    answer = root.get("/admin/auth/group/", {"q": "\x00"})
    assert (answer.status_code, "The request is not valid" in answer.content.decode()) == (400, True)


def test_control_without_the_guards_an_address_breaks(root: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        ClosedAdmin,
        "get_changelist_instance",
        lambda self, request: super(ClosedAdmin, self).get_changelist_instance(request),
    )
    monkeypatch.setattr(errors.AdminAddresses, "process_exception", lambda self, request, exception: None)
    assert get(root, "/admin/django_celery_results/taskresult/", "date_done__year=9999") == 500
