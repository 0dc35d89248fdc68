"""Ranking and budget, on plain values; the default strategy, on rows."""

from typing import Any

import pytest

from memory import services
from memory.models import Memory
from memory.recall import Candidate, fill, rank, tokens
from memory.strategies import Default


def order(query: str, *texts: str, similarities: Any = None) -> list[str]:
    found = rank(query, [Candidate(text, text) for text in texts], similarities)
    return [one.candidate.text for one in found]


def test_a_rare_word_weighs_more_than_common_ones() -> None:
    texts = ["the user likes the sea", "order ZX81", "the user likes the hills"]
    assert order("the user likes order ZX81", *texts)[0] == "order ZX81"


def test_case_and_width_do_not_count() -> None:
    assert order("ＺＸ81", "a", "zx81")[0] == "zx81"


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("他想要什么座位", "喜欢靠窗的座位"),
        ("茶", "他喝绿茶"),
        ("東京の天気", "東京に住む"),
        ("用Python写", "他会Python"),
    ],
)
def test_writing_without_blanks_is_matched_by_pairs(query: str, best: str) -> None:
    assert order(query, "unrelated", "喜欢靠窗的座位", "他喝绿茶", "東京に住む", "他会Python")[0] == best


def test_a_similarity_counts_beside_the_words_and_may_be_missing() -> None:
    assert order("seat", "seat", "likes windows", similarities=[None, 0.8]) == ["likes windows", "seat"]


def test_of_equals_the_younger_is_first() -> None:
    found = rank("tea", [Candidate("old", "tea", 90.0), Candidate("new", "tea", 1.0)])
    assert [one.candidate.id for one in found] == ["new", "old"]


def test_a_cjk_character_is_a_token_and_four_others_are() -> None:
    assert [tokens(text) for text in ("", "abcd", "abcde", "座位", "a座")] == [0, 1, 2, 2, 2]


def test_all_go_in_if_all_fit_and_a_long_one_makes_room() -> None:
    found = rank("x", [Candidate("long", "x " * 200), Candidate("short", "tea")])
    assert [one.candidate.id for one in fill(found, 500)] == ["long", "short"]
    assert [one.candidate.id for one in fill(found, 50)] == ["short"]


def kept(text: str, user: str = "ann", trusted: bool = True, **more: Any) -> Memory:
    return services.add(user, text, source=Memory.Source.API, trusted=trusted, **more)


def told(session: str = "s1") -> list[str]:
    return sorted(one.text for one in Default("helper").recall("ann", session, "what"))


@pytest.mark.django_db
def test_what_waits_is_not_recalled() -> None:
    kept("waits", trusted=False)
    assert told() == []


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["expires_at", "valid_until"])
def test_what_is_over_is_not_recalled(field: str) -> None:
    Memory.objects.filter(pk=kept("over").pk).update(**{field: "2020-01-01T00:00Z"})
    assert told() == []


@pytest.mark.django_db
def test_another_owner_session_or_agent_is_not_told() -> None:
    kept("mine")
    kept("bob's", user="bob")
    for ref in ("s1", "s2"):
        kept(ref, scope=Memory.Scope.SESSION, scope_ref=ref)
    for ref in ("helper", "other"):
        kept(ref, scope=Memory.Scope.AGENT, scope_ref=ref)
    assert told() == ["helper", "mine", "s1"]


@pytest.mark.django_db
def test_the_budget_is_that_of_the_settings_and_only_what_is_told_is_used(settings: Any) -> None:
    settings.MEMORY_TOKENS = 3
    told_one, other = kept("likes tea"), kept("a long text that no budget of three has room for")
    assert told() == ["likes tea"]
    counts = [Memory.objects.get(pk=one.pk).use_count for one in (told_one, other)]
    assert counts == [1, 0]
