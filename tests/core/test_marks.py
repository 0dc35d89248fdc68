"""Text for people: what would take room without being seen is named, and nothing is cut unsaid."""

import html
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import marks
from core.text import visible

IDEOGRAPHIC = "\u3000"


def shown(text: str) -> str:
    """What is painted, with the marks in double brackets."""
    return html.unescape(re.sub('<mark class="unseen">(.*?)</mark>', r"[[\1]]", marks.html(text)))


def line(text: str, limit: float = marks.ONE_LINE) -> str:
    return html.unescape(re.sub('<mark class="unseen">(.*?)</mark>', r"[[\1]]", marks.one_line(text, limit)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pay" + IDEOGRAPHIC * 55 + "now", "Pay[[⟨55 × ideographic space⟩]]now"),
        ("a\u2003b", "a[[⟨em space⟩]]b"),
        ("10\xa0€", "10[[⟨no-break space⟩]]€"),
        ("a" + "\u2009" * 3 + "b", "a[[⟨3 × blank U+2009⟩]]b"),
        ("a \u3000\u2003b", "a[[⟨3 × blank⟩]]b"),
        ("a\u2800\u2800b", "a[[⟨2 × blank U+2800⟩]]b"),
        ("a b  c", "a b  c"),
        ("a" + " " * 1204 + "b", "a[[⟨1,204 × space⟩]]b"),
        ("a\tb", "a[[⟨tab⟩]]b"),
        ("if a:\n\tb\n    c", "if a:\n\tb\n    c"),
        (" " * 40 + "a", "[[⟨40 × space⟩]]a"),
        ("a \nb ", "a[[⟨space⟩]]\nb[[⟨space⟩]]"),
        ("   ", "[[⟨3 × space⟩]]"),
        ("a\n\nb", "a\n\nb"),
        ("a" + "\n" * 13 + "b", "a\n[[⟨12 × blank line⟩]]\nb"),
        ("a\n \n \n \nb", "a\n[[⟨3 × blank line⟩]]\nb"),
        ("a\u202eb", r"a[[\u{202e}]]b"),
        ("\u200b" * 3, r"[[\u{200b}\u{200b}\u{200b}]]"),
        ("\u200b" * 5000, r"[[⟨5,000 × \u{200b}⟩]]"),
        (r"\u{202e} ⟨2 × space⟩", r"\u{202e} ⟨2 × space⟩"),
        ("e" + "\u0301" * 40, "e" + "\u0301" * 8 + "[[⟨32 × combining character⟩]]"),
        ("<b>&", "<b>&"),
        ("", ""),
    ],
)
def test_what_is_not_seen_is_named(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_a_mark_that_somebody_writes_is_no_mark() -> None:
    written = '<mark class="unseen">⟨2 × space⟩</mark>'
    assert marks.html(written) == html.escape(written)


IGNORABLE = [*range(0xFFF0, 0xFFFC), *range(0xE0000, 0xE1000), *range(0x1D173, 0x1D17B), *range(0x1BCA0, 0x1BCA4)]
IGNORABLE += [0xAD, 0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180F, 0x3164, 0xFE00, 0xFE0F, 0xFFA0, 0x16FE4]
IGNORABLE += [0x202F, 0x205F, 0xE000, 0xF8FF, 0xFFFE, 0x10FFFF, 0x1D159]


def test_every_control_format_and_ignorable_character_is_marked() -> None:
    by_category = [
        code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Zl", "Zp", "Co")
    ]
    for code in {*by_category, *IGNORABLE} - {0x09, 0x0A}:
        assert visible(chr(code)) == f"\\u{{{code:x}}}"
    for char in "aäЖ漢あ😀 \n\t-‘":
        assert visible(char) == char


def test_every_space_is_named_unless_it_is_the_common_one() -> None:
    for code in range(0x80, sys.maxunicode + 1):
        if unicodedata.category(chr(code)) == "Zs":
            assert marks.has_marks(f"a{chr(code)}b"), hex(code)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from(" \t\n\u3000\u200b\u0301"), max_size=60))
def test_every_character_is_shown_or_stood_for(text: str) -> None:
    at = 0
    for piece in marks.pieces(text):
        assert piece.is_mark or piece.text == text[at : at + piece.length]
        at += piece.length
    assert at == len(text)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 10, "short"),
        ("x" * 2004, 6, "x" * 10 + " [[+1,994 characters]]"),
        ("漢" * 100, 6, "漢" * 6 + " [[+94 characters]]"),
        ("W" * 100, 6, "W" * 6 + " [[+94 characters]]"),
        ("x" * 26, 6, "x" * 26),
        ("a\nb", 10, "a[[↵]]b"),
        ("a" + IDEOGRAPHIC * 55 + "x" * 55, 16, "a[[⟨55 × ideographic space⟩]]" + " [[+55 characters]]"),
    ],
)
def test_one_line_is_measured_by_width_and_says_how_much_follows(text: str, limit: float, expected: str) -> None:
    assert line(text, limit) == expected


def test_in_one_line_nothing_pushes_the_rest_out_unsaid() -> None:
    assert line(IDEOGRAPHIC * 5000 + "evil").endswith("evil")
    assert line("\n" * 5000 + "evil").endswith("evil")
    assert line("\u200b" * 5000 + "evil").endswith("evil")


def test_long_texts_are_marked_in_good_time() -> None:
    assert len(shown(" \t\n" * 100_000)) < 1000
    assert "x" in shown("\n x" * 20_000)
