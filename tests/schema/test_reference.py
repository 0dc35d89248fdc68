"""docs/reference/api.md: it is what the generator makes, and its calls work as pasted, one after the other."""

import json
import subprocess
from functools import reduce
from typing import Any

import pytest
from django.contrib.auth.models import User
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from agentsite.accounts import create_key
from agentsite.api import reference
from tests.schema import server
from tests.support.accounts import grant

pytestmark = pytest.mark.django_db(transaction=True)


def run(line: str, url: str, variables: dict[str, str]) -> tuple[int, Any]:
    """Status and JSON of a line of the page, as a shell runs it."""
    command = line.replace(reference.BASE, url) + " -w '\\n%{http_code}'"
    done = subprocess.run(["bash", "-c", command], env=variables, capture_output=True, text=True, timeout=30)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), events(body) if body.startswith("retry: ") else json.loads(body)


def events(body: str) -> list[Any]:
    """What a stream has sent, but for its end."""
    parts = [part for part in body.split("\n\n") if "event: " in part and "event: end" not in part]
    return [json.loads(part.partition("data: ")[2]) for part in parts]


def validator(schema: dict[str, Any], section: str, status: int) -> Draft202012Validator:
    """Of the bodies that the operation answers with this status."""
    operation = next(
        one for methods in schema["paths"].values() for one in methods.values() if one["operationId"] == section
    )
    body = next(iter(operation["responses"][str(status)]["content"].values()))["schema"]
    return Draft202012Validator({**body, "components": schema["components"]})


def operation_of(example: reference.Example) -> str:
    """What it calls: the operation that it stands with, or the task that has to be there first."""
    return "invoke" if example["path"] == "/agent/invoke" else example["section"]


def test_the_page_is_up_to_date() -> None:
    assert reference.TARGET.read_text() == reference.page(), "run `make api-docs`"


def test_every_operation_has_an_example() -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    operations = {one["operationId"] for methods in paths.values() for one in methods.values()}
    assert {example["section"] for example in reference.examples()} == operations


def test_the_examples_stand_in_the_page_in_the_order_in_which_they_work() -> None:
    page = reference.TARGET.read_text()
    places = [page.index(reference.curl(example)) for example in reference.examples()]
    assert places == sorted(places)


def test_the_examples_work_as_pasted_and_answer_what_the_schema_says(service: User, work: Any) -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    grant(service, "agents.pause_work")
    variables = {"KEY": create_key(service, "docs"), "PATH": "/usr/bin:/bin"}
    with server.running() as url:
        for example in reference.examples():
            status, body = run(reference.curl(example), url, variables)
            assert status == example["status"], (example, body)
            for one in body if isinstance(body, list) else [body]:
                validator(schema, operation_of(example), status).validate(one)
            for name, path in example.get("keep", {}).items():
                variables[name] = reduce(lambda value, key: value[key], path, body)
            work()
