"""Ranking of memories for a query, and selection of those that fit a prompt. Plain values in and out."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.tokens import count as tokens

# Han, kana and hangul. Han and kana have no blanks between words; hangul has, but attaches particles to words.
_CJK = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUNS = re.compile(rf"([{_CJK}]+)|((?:(?![{_CJK}])\w)+)")

COVERAGE_WEIGHT = 0.2  # measured (design/memory.md): together with a cosine, it finds paraphrases and id codes
RECENCY_WEIGHT = 0.01  # breaks ties, and never outweighs a word that only few memories have
RECENCY_HALF_LIFE = 30.0  # days


@dataclass(frozen=True)
class Candidate:
    """A memory that could be recalled."""

    id: str
    text: str
    age: float = 0.0  # days since it was written or last changed


@dataclass(frozen=True)
class Scored:
    """A candidate and how well it fits the query: 0 (not at all) to about 1.2."""

    candidate: Candidate
    score: float


def rank(
    query: str, candidates: Sequence[Candidate], similarities: Sequence[float | None] | None = None
) -> list[Scored]:
    """Return the candidates, best first and, if equal, the younger first.

    Score = similarity + 0.2 × share of the query's idf weight that the memory's words cover + up to 0.01 for recency.

    Args:
        similarities: a cosine for each candidate, in their order. With None, for one or for all, only words rank.
    """
    documents = [_searched(candidate.text) for candidate in candidates]
    weights = _idf(_asked(query), documents)
    total = sum(weights.values()) or 1.0
    cosines = similarities if similarities is not None else [None] * len(candidates)
    scored = []
    for candidate, words, cosine in zip(candidates, documents, cosines, strict=True):
        coverage = sum(weight for word, weight in weights.items() if word in words) / total
        recency = 0.5 ** (max(candidate.age, 0.0) / RECENCY_HALF_LIFE)
        score = (cosine or 0.0) + COVERAGE_WEIGHT * coverage + RECENCY_WEIGHT * recency
        scored.append(Scored(candidate, score))
    return sorted(scored, key=lambda one: (-one.score, one.candidate.age, one.candidate.id))


def fill(ranked: Iterable[Scored], token_budget: int) -> list[Scored]:
    """Return the candidates that fit the budget (in `tokens`), best first, in the order given.

    One that is too long for the rest of the budget is skipped in favor of shorter ones behind it.
    """
    chosen = []
    for one in ranked:
        cost = tokens(one.candidate.text)
        if cost <= token_budget:
            token_budget -= cost
            chosen.append(one)
    return chosen


def _idf(words: Iterable[str], documents: Sequence[set[str]]) -> dict[str, float]:
    frequency = Counter(word for document in documents for word in document)
    count = len(documents)
    return {word: math.log(1 + (count - frequency[word] + 0.5) / (frequency[word] + 0.5)) for word in words}


def _searched(text: str) -> set[str]:
    """Return the terms that find a memory: words, bigrams of CJK runs, and CJK characters for one-character queries."""
    found = set()
    for cjk, word in _runs(text):
        found.update(_bigrams(cjk) + list(cjk) if cjk else [word])
    return found


def _asked(text: str) -> set[str]:
    """Return the terms that a query looks for: words, CJK bigrams, and CJK characters that stand alone."""
    found = set()
    for cjk, word in _runs(text):
        found.update((_bigrams(cjk) or [cjk]) if cjk else [word])
    return found


def _runs(text: str) -> list[tuple[str, str]]:
    return _RUNS.findall(unicodedata.normalize("NFKC", text).casefold())


def _bigrams(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]
