"""How many tokens a text is about, and texts shortened to so many."""

import pytest

from core import tokens

ENGLISH = "The quick brown fox jumps over the lazy dog. "
CHINESE = "今天天气很好我们去公园散步"


@pytest.mark.parametrize(
    ("text", "characters"),  # in one token, at most
    [
        (ENGLISH, 4.1),
        (CHINESE, 1),
        ("これはテストです", 1),
        ("안녕하세요반갑습니다", 1),
        ("नमस्ते दुनिया", 1.2),
        ("Привет, как дела", 2.5),
        ("\N{GRINNING FACE}\N{ROCKET}", 0.5),
        ('{"id":123456,"total":99.95,"ok":true}', 3),
        ("0123456789", 2),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 2),
    ],
)
def test_a_token_has_as_many_characters_as_the_script_says(text: str, characters: float) -> None:
    assert tokens.count(text * 100) >= len(text * 100) / characters


def test_plain_english_is_not_counted_twice_over() -> None:
    assert tokens.count(ENGLISH * 100) <= len(ENGLISH * 100) / 3.5


def test_85000_chinese_characters_are_no_32000_tokens() -> None:
    assert tokens.count((CHINESE * 10_000)[:85_000]) == 85_000


@pytest.mark.parametrize("text", [ENGLISH * 5000, CHINESE * 5000, "0123456789" * 20_000, ENGLISH * 99 + CHINESE * 999])
@pytest.mark.parametrize("limit", [50, 500, 5000])
def test_what_is_shortened_has_the_beginning_the_end_and_a_mark(text: str, limit: int) -> None:
    short = tokens.shortened(text, limit)
    head, mark, tail = short.split("\n", 2)[0], short.split("\n")[-2], short.rsplit("\n", 1)[-1]
    assert limit * 0.7 < tokens.count(short) <= limit
    assert text.startswith(head)
    assert text.endswith(tail)
    assert mark == f"[… {len(text) - len(head) - len(tail):,} of {len(text):,} characters left out …]"
    assert len(head) > len(tail) > 0 or limit == 50


@pytest.mark.parametrize("limit", [0, 1, 10])
def test_a_limit_too_small_for_the_mark_leaves_the_mark_alone(limit: int) -> None:
    assert tokens.shortened("x y " * 10_000, limit) == "\n[… 40,000 of 40,000 characters left out …]\n"


def test_nothing_gets_longer_by_being_shortened() -> None:
    assert tokens.shortened("abc def", 1) == "abc def"


def test_a_long_text_is_counted_once_and_by_its_own_letters() -> None:
    long, other = "word " * 1_000, "世界" * 2_000
    expected = [tokens._count(text) for text in (long, other)]
    tokens._remembered.cache_clear()
    assert [tokens.count(text) for text in (long, other, long, other)] == expected * 2
    assert tokens._remembered.cache_info()[:2] == (2, 2), "hits and misses"
    tokens.count("short")
    assert tokens._remembered.cache_info().currsize == 2
