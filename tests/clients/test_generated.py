"""What is made from the schema and from the client for asyncio is up to date; what is not made follows the schema."""

from pathlib import Path
from typing import Any, get_args

import pytest
from agentsite_client import events
from agentsite_client.bodies import Choice, Decision, NewSession, ResponseType, Submission
from drf_spectacular.generators import SchemaGenerator

from scripts import clients

UNSTORED = {"chunk", "end"}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)["components"]["schemas"]
    return found


@pytest.mark.parametrize("file", clients.files(), ids=lambda file: Path(file).name)
def test_it_is_up_to_date(file: Path) -> None:
    assert file.read_text() == clients.files()[file], "run `make clients`"


@pytest.mark.parametrize(
    ("fields", "body", "others"),
    [
        (Submission, "Invoke", {"query"}),
        (NewSession, "OpenSession", set()),
        (Decision, "Decide", {"response_type", "version"}),
        (Choice, "Resume", {"response_type", "user_id", "session_id", "task_id", "decisions"}),
    ],
)
def test_a_method_takes_what_its_body_has(fields: Any, body: str, others: set[str], schemas: dict[str, Any]) -> None:
    assert set(fields.__annotations__) | set(getattr(fields.__base__, "__annotations__", {})) | others == set(
        schemas[body]["properties"]
    )


def test_each_kind_of_event_has_a_type(schemas: dict[str, Any]) -> None:
    kinds = {get_args(get_args(one)[0])[0] for one in get_args(events.Event)}
    assert kinds == {*schemas["Event"]["properties"]["kind"]["enum"], *UNSTORED}


def test_each_kind_has_one_in_typescript_too(schemas: dict[str, Any]) -> None:
    text = (clients.TYPESCRIPT / "events.ts").read_text()
    kinds = {part.split('"')[0] for part in text.split('| TaskEvent<"')[1:]}
    assert kinds == {*schemas["Event"]["properties"]["kind"]["enum"], *UNSTORED}


def test_decisions_are_those_of_the_api(schemas: dict[str, Any]) -> None:
    offered = set(schemas["Decision"]["properties"]["response_type"]["enum"])
    assert set(get_args(ResponseType)) == offered
    text = (clients.TYPESCRIPT / "client.ts").read_text()
    line = next(line for line in text.splitlines() if line.startswith("export type ResponseType"))
    assert set(line.split('"')[1::2]) == offered
