"""An edited value obeys the format that the tool's schema gives it, in the form and over REST alike."""

import datetime
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agents.models import Interrupt
from core.errors import Invalid
from core.text import canonical
from reviews.argument_form import formats
from reviews.argument_form.form import ArgumentsForm
from reviews.decisions import edits
from tests.support.accounts import client_of

GOOD = {
    "date": ["2026-01-31", "2024-02-29"],
    "time": ["09:30:00", "09:30:00Z", "23:59:59.123+02:00", "09:30"],
    "date-time": [
        "2026-01-31T09:30:00Z",
        "2026-01-31T09:30:00",
        "2026-01-31 09:30:00.123456+05:30",
        "2026-01-31t09:30z",
    ],
    "duration": ["PT1H30M", "P3D", "P2W", "-P1DT2H", "PT1.5S"],
    "email": ["bob@example.com", "o'neill+x@mail.example.co.uk"],
    "idn-email": ["bücher@bücher.example", "bob@example.com"],
    "name-email": ["Bob <bob@example.com>"],
    "hostname": ["example.com", "a-1.b"],
    "idn-hostname": ["bücher.example", "例え.jp"],
    "uri": ["https://example.com/a?b=c#d", "mailto:bob@example.com", "urn:isbn:1", "http://[::1]:80/"],
    "uri-reference": ["/a/b?c", "#x", "https://example.com"],
    "iri": ["https://例え.jp/ä"],
    "uri-template": ["https://example.com/{user}/{?page*}"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"],
    "uuid4": ["e4eaaaf2-d142-41b2-9f6c-9d6f2f7a0d4e"],
    "ipv4": ["127.0.0.1"],
    "ipv6": ["::1", "2001:db8::ff"],
    "ipvanyaddress": ["::1", "10.0.0.1"],
    "ipv4network": ["10.0.0.0/8"],
    "json-pointer": ["", "/a/~0b"],
    "relative-json-pointer": ["0#", "1/a"],
    "regex": ["^a+$"],
    "json-string": ["[1]"],
    "byte": ["aGk="],
    "base64url": ["aGk_-w"],
    "password": ["anything"],
    "nobody-knows-it": ["anything"],
}
BAD = {
    "date": ["2026-02-30", "2026-13-01", "2026-1-5", "20260131", "tomorrow", "2026-01-31T00:00:00", "٢٠٢٦-٠١-٣١", ""],
    "time": ["25:00:00", "09:60:00", "9:30", "noon", "09:30:00+25:00", "093000"],
    "date-time": ["2026-02-30T00:00:00Z", "2026-01-31", "2026-01-31T24:30:00Z", "now", "2026-01-31T09:30:00 Z"],
    "duration": ["P", "PT", "1h", "P1H", "PT5", "90 minutes"],
    "email": [
        "bob",
        "@",
        "bob@",
        "@example.com",
        "bob@example",
        "a b@example.com",
        "bob@@example.com",
        "bob@ex ample.com",
    ],
    "idn-email": ["bücher", "a b@example.com", "@example.com"],
    "name-email": ["Bob"],
    "hostname": ["-a.example", "a_b.example", "a..b", "", "x" * 64],
    "idn-hostname": ["a..b", "a b"],
    "uri": [
        "example.com",
        "/a",
        "https://",
        "http:// x.example",
        "https://example.com/a b",
        "http://a:port/",
        "%zz:a",
        "abc",
    ],
    "uri-reference": ["a b", "%zz", "http://"],
    "iri": ["例え.jp", "https://a b"],
    "uri-template": ["https://example.com/{user"],
    "uuid": ["123", "123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}", "g" * 36],
    "uuid4": ["123e4567-e89b-12d3-a456-426614174000"],
    "ipv4": ["256.1.1.1", "1.2.3", "01.2.3.4"],
    "ipv6": ["::g", "fe80::1%eth0", "1.2.3.4"],
    "ipvanyaddress": ["example.com"],
    "ipv4network": ["10.0.0.1/8"],
    "json-pointer": ["a", "/~2"],
    "relative-json-pointer": ["01", "-1/a"],
    "regex": ["(", "["],
    "json-string": ["{"],
    "byte": ["aGk"],
    "base64url": ["a+b/"],
}


def pairs(texts: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, text) for name, several in texts.items() for text in several]


def schema_of(name: str) -> dict[str, Any]:
    part = {"type": "string", "format": name}
    return {
        "type": "object",
        "properties": {
            "x": part,
            "maybe": {"anyOf": [part, {"type": "null"}]},
            "many": {"type": "array", "items": part},
        },
    }


def over_rest(schema: Any, asked: Any, given_: Any) -> Any:
    """What `POST /reviews/{id}/decide` makes of an edit; the names of the fields in error where it refuses."""
    review = Interrupt(args_schema=schema, args_text=canonical(asked))
    try:
        return edits.edited(review, given_)
    except Invalid as error:
        return sorted(error.extra["errors"])


@pytest.mark.parametrize(("name", "text"), pairs(GOOD))
def test_what_has_the_format_is_accepted(name: str, text: str) -> None:
    edit = {"x": text, "maybe": text, "many": [text]}
    assert over_rest(schema_of(name), {"x": "?", "maybe": None, "many": []}, edit) == edit


@pytest.mark.parametrize(("name", "text"), pairs(BAD))
def test_what_has_not_is_refused_at_its_field(name: str, text: str) -> None:
    edit = {"x": text, "maybe": text, "many": [text]}
    assert over_rest(schema_of(name), {"x": "?", "maybe": None, "many": []}, edit) == ["many", "maybe", "x"]


@pytest.mark.parametrize(("name", "text"), [("date", "2026-02-30"), ("email", "bob@"), ("uri", "example.com")])
def test_the_form_says_so_at_the_field(name: str, text: str) -> None:
    form = ArgumentsForm(schema_of(name), {"x": "?", "maybe": None}, {"arg-0": text, "arg-1": text})
    assert not form.validate()
    root: Any = form.root
    for field in ("x", "maybe"):
        assert root.children[field].errors[0].startswith("Enter a")
        assert root.children[field].text == text


def test_what_was_asked_need_not_be_corrected_in_order_to_change_something_else() -> None:
    schema = {**schema_of("uri"), "additionalProperties": True}
    asked = {"x": "example.com", "maybe": "example.com", "many": ["a b", "https://example.com"], "note": "a"}
    edit = {**asked, "many": ["https://example.com", "a b"], "note": "b"}
    assert over_rest(schema, asked, edit) == edit
    assert over_rest(schema, asked, {**asked, "many": ["example.com"]}) == ["many"]  # it was asked elsewhere


def test_a_format_says_nothing_about_numbers_but_their_size() -> None:
    schema = {"properties": {"n": {"format": "int32"}, "d": {"format": "date"}}}
    assert over_rest(schema, {}, {"n": 2**31, "d": 5}) == ["n"]
    assert over_rest(schema, {}, {"n": 2**31 - 1, "d": 5}) == {"n": 2**31 - 1, "d": 5}


def test_a_schema_that_can_not_be_read_refuses_every_edit() -> None:
    assert over_rest({"properties": {"x": {"type": "strnig"}}}, {"x": "a"}, {"x": "b"}) == ["args"]
    assert over_rest({"properties": {"x": {"format": ["date"]}}}, {"x": "a"}, {"x": "b"}) == ["args"]


PYDANTIC = {
    "date": st.dates(),
    "time": st.times(),
    "date-time": st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
    "duration": st.timedeltas(),
    "uuid": st.uuids(),
    "ipv4": st.ip_addresses(v=4),
    "ipv6": st.ip_addresses(v=6),
}


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(PYDANTIC)).flatmap(lambda name: st.tuples(st.just(name), PYDANTIC[name])))
def test_what_pydantic_writes_has_its_format(drawn: tuple[str, Any]) -> None:
    name, value = drawn
    written = TypeAdapter(type(value)).dump_python(value, mode="json")
    assert formats.CHECKER.conforms(written, name)


def test_pydantic_names_the_formats_as_they_are_checked_here() -> None:
    kinds = [datetime.date, datetime.time, datetime.datetime, datetime.timedelta, uuid.UUID]
    named = {TypeAdapter(kind).json_schema().get("format") for kind in kinds}
    assert named <= set(formats.CHECKER.checkers)


@pytest.mark.django_db(transaction=True)
def test_over_rest_it_is_a_400_that_names_the_field_and_decides_nothing(booking: Interrupt, reviewer: Any) -> None:
    Interrupt.objects.update(args_schema=schema_of("date"), args_text='{"x":"2026-01-31"}')
    client = client_of(reviewer)
    for text, status in (("2026-02-30", 400), ("2026-02-28", 200)):
        body = {"response_type": "edit", "args": {"x": text}, "version": booking.version}
        response = client.post(f"/reviews/{booking.pk}/decide", body, format="json")
        assert response.status_code == status
        if status == 400:
            assert list(response.json()["errors"]) == ["x"]
            assert Interrupt.objects.get().status == "pending"
    assert Interrupt.objects.get().answer_args_text == '{"x":"2026-02-28"}'
