"""Durations, ids, time zones and texts at the borders of what is taken."""

import unicodedata
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework.exceptions import ValidationError

from core import durations, identifiers, text, timezones, tokens
from core.api import parsers
from core.api.fields import TextField
from core.errors import Conflict, Invalid, NotFound, RateLimited
from core.identifiers import IdentifierField

# Durations


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1m", timedelta(minutes=1)),
        ("90m", timedelta(hours=1, minutes=30)),
        ("24h", timedelta(days=1)),
        ("1d", timedelta(days=1)),
        ("2w", timedelta(days=14)),
        ("999999d", timedelta(days=999_999)),
        ("999999w", timedelta(weeks=999_999)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(written: str, meant: timedelta) -> None:
    assert durations.duration(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        "d",
        "1",
        "0d",
        "01d",
        "1000000d",
        "1.5h",
        "+1d",
        "-1d",
        "1D",
        "1s",
        "1y",
        " 1d",
        "1d ",
        "1d\n",
        "1 d",
        "1d2h",
    ],
)
def test_whatever_else_is_refused_with_an_example_of_what_is_taken(written: str) -> None:
    with pytest.raises(ValueError, match="for example 90d") as refused:
        durations.duration(written)
    assert repr(written) in str(refused.value)


@pytest.mark.parametrize("digit", ["١", "１", "²"])
def test_digits_of_other_scripts_are_no_number(digit: str) -> None:
    with pytest.raises(ValueError, match="not a valid duration"):
        durations.duration(f"{digit}d")


# Ids


@pytest.mark.parametrize(
    "given", ["a", "x" * 128, "...", ".a", "a.", "-", "_", "@", ":", "+", "|", "a|b:c@d+e-f_g.h", "张三", "Ünal", "٣"]
)
def test_an_id_is_kept_as_it_came(given: str) -> None:
    assert identifiers.identifier(given) == given


@pytest.mark.parametrize("given", ["", "x" * 129, "é" * 129])
def test_an_id_of_a_wrong_length_is_told_the_length(given: str) -> None:
    with pytest.raises(ValueError, match="IDs must have 1 to 128 characters"):
        identifiers.identifier(given)


@pytest.mark.parametrize(
    "given",
    [
        ".",
        "..",
        "a b",
        " a",
        "a\n",
        "a\x00",
        "a/b",
        "a\\b",
        "a%2F",
        "a?b",
        "a#b",
        "a*",
        "a,b",
        "<a>",
        "a\u202eb",
        "a\u200b",
        "😀",
    ],
)
def test_an_id_with_another_character_is_told_the_characters(given: str) -> None:
    with pytest.raises(ValueError, match="IDs can contain letters, digits and"):
        identifiers.identifier(given)


def test_the_length_of_an_id_is_that_of_its_stored_form() -> None:
    given = "e\N{COMBINING ACUTE ACCENT}" * 128
    assert len(given) == 256
    assert identifiers.identifier(given) == "é" * 128


def test_an_id_that_composes_differently_is_one_id() -> None:
    composed = "Jos\N{LATIN SMALL LETTER E WITH ACUTE}"
    assert identifiers.stored(unicodedata.normalize("NFD", composed)) == identifiers.stored(composed) == composed


@pytest.mark.parametrize("given", ["", "..", "a/b", "x" * 129])
def test_an_id_from_a_path_that_can_be_none_is_the_empty_one(given: str) -> None:
    assert identifiers.stored(given) == ""


@pytest.mark.parametrize("given", [5, 5.0, True, None, ["a"], {"a": 1}, b"a"])
def test_an_id_of_another_type_is_not_turned_into_a_text(given: Any) -> None:
    with pytest.raises(ValidationError, match="IDs must be strings"):
        IdentifierField().to_internal_value(given)


def test_a_field_says_what_is_wrong_with_an_id() -> None:
    with pytest.raises(ValidationError, match="1 to 128 characters"):
        IdentifierField().run_validation("")


# Time zones


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Asia/Shanghai", "America/Argentina/Buenos_Aires"])
def test_a_zone_is_found_by_its_name(name: str) -> None:
    timezones.require_known(name)
    assert timezones.zone(name) == ZoneInfo(name)


@pytest.mark.parametrize(
    "name", ["", "europe/berlin", "Berlin", "UTC+2", "../etc/passwd", "/etc/localtime", "Mars/Base", "UTC\x00"]
)
def test_a_name_that_is_no_zone_is_refused_on_entry_and_later_means_none(name: str) -> None:
    with pytest.raises(DjangoValidationError, match="no such time zone") as refused:
        timezones.require_known(name)
    assert refused.value.code == "unknown_zone"
    assert timezones.zone(name) is None


def test_zones_are_offered_in_order_and_once() -> None:
    names = timezones.names()
    assert list(names) == sorted(set(names))


# Texts


@pytest.mark.parametrize(
    ("given", "limit", "kept"),
    [("abc", 3, "abc"), ("abc", 4, "abc"), ("abcd", 3, "ab…"), ("ab", 1, "…"), ("", 1, ""), ("张三李四", 3, "张三…")],
)
def test_a_text_that_is_cut_has_an_ellipsis_within_the_limit(given: str, limit: int, kept: str) -> None:
    assert text.shortened(given, limit) == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a\x00b", "a\N{REPLACEMENT CHARACTER}b"), ("a\ud800b", "a?b"), ("\udfff\x00", "?\N{REPLACEMENT CHARACTER}")],
)
def test_what_no_database_holds_is_replaced(given: str, kept: str) -> None:
    assert not text.is_storable(given)
    assert text.storable(given) == kept
    assert text.is_storable(kept)


@pytest.mark.parametrize("given", ["", "\x01", "\ud7ff", "\ue000", "\uffff", "\U0010ffff", "a\nb"])
def test_what_a_database_holds_is_kept(given: str) -> None:
    assert text.is_storable(given)
    assert text.storable(given) == given


def test_names_of_values_are_replaced_too() -> None:
    assert text.storable({"a\x00": ("b\ud800", float("nan"))}) == {"a\N{REPLACEMENT CHARACTER}": ["b?", "nan"]}


@pytest.mark.parametrize("given", [float("nan"), float("inf"), -float("inf"), [float("nan")]])
def test_what_json_does_not_have_has_no_canonical_form(given: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        text.canonical(given)


@pytest.mark.parametrize("given", [{1, 2}, object(), b"a", {"a": timedelta(1)}])
def test_neither_has_what_is_no_json_at_all(given: Any) -> None:
    with pytest.raises(TypeError):
        text.canonical(given)


def test_the_canonical_form_keeps_the_order_of_keys_and_the_sign_of_zero() -> None:
    assert text.canonical({"b": -0.0, "a": "é\u2028"}) == '{"b":-0.0,"a":"\\u00e9\\u2028"}'


@pytest.mark.parametrize(
    ("one", "other"), [(("ab", "c"), ("a", "bc")), (("a", ""), ("a",)), (('a","b',), ("a", "b")), ((), ("",))]
)
def test_where_a_text_ends_counts_in_a_digest(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert text.digest(*one) != text.digest(*other)


def test_people_read_a_text_without_quotes_and_json_with_its_letters() -> None:
    assert text.readable('say "é"') == 'say "é"'
    assert text.readable({"name": "张三"}) == '{"name": "张三"}'
    assert text.readable([1], indent=1) == "[\n 1\n]"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\u202eb", "a\\u{202e}b"),
        ("\u200b", "\\u{200b}"),
        ("\x00\x7f\xad", "\\u{0}\\u{7f}\\u{ad}"),
        ("\U000e0041", "\\u{e0041}"),
        ("\ufe0f", "\\u{fe0f}"),
        ("\U0001ffff", "\\u{1ffff}"),
        ("a\tb\nc", "a\tb\nc"),
        ("é 张 😀", "é 张 😀"),
    ],
)
def test_what_is_hidden_is_named_and_the_rest_stays(given: str, shown: str) -> None:
    assert text.visible(given) == shown


# Bodies of requests


class Body:
    """A request's stream."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, size: int) -> bytes:
        return self.content[:size]


def parsed(content: bytes) -> Any:
    return parsers.StrictJSONParser().parse(Body(content))


def nested(levels: int) -> bytes:
    """An object with a value this many levels below it, so that the deepest is at `levels` + 1."""
    return b'{"a":' + b"[" * (levels - 1) + b"1" + b"]" * (levels - 1) + b"}"


def test_a_body_may_be_nested_to_its_limit_and_no_deeper() -> None:
    assert list(parsed(nested(parsers.MAX_DEPTH - 1))) == ["a"]
    with pytest.raises(Exception, match="more than 64 levels deep"):
        parsed(nested(parsers.MAX_DEPTH))


def test_a_body_may_be_as_long_as_its_limit_and_no_longer(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert parsed(b'{"a": 123}') == {"a": 123}
    with pytest.raises(parsers.RequestDataTooBig):
        parsed(b'{"a": 1234}')


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"a"', "must be a JSON object"),
        (b'{"a": NaN}', "NaN is not valid JSON"),
        (b'{"a": -Infinity}', "-Infinity is not valid JSON"),
        (b'{"a": 1e999}', "number that is too large"),
        (b'{"a": "\xff"}', "not valid JSON in UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not valid JSON in UTF-8"),
        (b'{"a\\u0000": 1}', "NUL character or a lone surrogate"),
        (b'{"a": ["\\udc00"]}', "NUL character or a lone surrogate"),
        (b'{"a": 1,}', "not valid JSON"),
        (b'{"a":' + b"[" * 100_000, "JSON"),
    ],
)
def test_a_body_that_could_harm_later_is_refused_with_the_reason(content: bytes, told: str) -> None:
    with pytest.raises(parsers.ParseError, match=told):
        parsed(content)


# Fields and errors


@pytest.mark.parametrize("given", ["", " ", "\n\t", "\u3000"])
def test_a_text_of_blanks_alone_is_blank(given: str) -> None:
    with pytest.raises(ValidationError, match="may not be blank"):
        TextField().run_validation(given)


@pytest.mark.parametrize("given", [1, True, ["a"], {"a": 1}])
def test_a_text_is_not_made_of_other_values(given: Any) -> None:
    with pytest.raises(ValidationError, match="Must be a string"):
        TextField().run_validation(given)


@pytest.mark.parametrize("given", [" a ", "a\n", "\ta"])
def test_the_blanks_around_a_text_belong_to_it(given: str) -> None:
    assert TextField().run_validation(given) == given


def test_an_error_without_words_has_those_of_its_kind() -> None:
    assert (str(NotFound()), NotFound().code) == ("Not found.", "not_found")
    assert (str(Conflict("It is over.", code="over")), Conflict(code="over").code) == ("It is over.", "over")


def test_an_invalid_input_names_its_fields_only_if_there_are_any() -> None:
    assert Invalid(errors={"limit": ["Too large."]}).extra == {"errors": {"limit": ["Too large."]}}
    assert Invalid("No.").extra == {}


def test_a_limit_says_when_to_come_back() -> None:
    refused = RateLimited(retry_after=7)
    assert (refused.retry_after, refused.code) == (7, "rate_limited")
    assert "Retry-After" in str(refused)


# Tokens


@pytest.mark.parametrize(
    ("given", "estimate"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("12", 1), ("张", 1), ("😀", 2), ("é", 1), ("AB", 1)],
)
def test_an_estimate_is_never_below_one_token_for_something(given: str, estimate: int) -> None:
    assert tokens.count(given) == estimate


@pytest.mark.parametrize(("length", "estimate"), [(31, 8), (32, 16)])
def test_a_run_that_is_too_long_for_a_word_costs_twice_as_much(length: int, estimate: int) -> None:
    assert tokens.count("a" * length) == estimate


def test_a_text_just_within_its_tokens_is_not_shortened() -> None:
    given = "word " * 400
    limit = tokens.count(given)
    assert tokens.shortened(given, limit) == given
    cut = tokens.shortened(given, limit - 1)
    assert "characters left out" in cut
    assert tokens.count(cut) <= limit - 1
