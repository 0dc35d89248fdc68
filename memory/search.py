"""Ranking of database rows with `memory.recall`, which works on plain values."""

from collections.abc import Iterable

from django.utils import timezone

from memory.models import Memory, MemoryQuerySet
from memory.recall import Candidate, Scored, rank

SEARCHED = 2_000  # newest rows that a search covers: each is read and split into words
DAY = 86_400.0  # seconds


def newest(rows: MemoryQuerySet) -> MemoryQuerySet:
    """Return the rows that a search covers, newest first."""
    return rows.defer("embedding").order_by("-created_at", "-pk")[:SEARCHED]


def ranked(rows: Iterable[Memory], query: str) -> tuple[dict[str, Memory], list[Scored]]:
    """Return the rows, which `newest` has limited, by id, and their ranking: those that fit the query best first."""
    now = timezone.now()
    found = {str(row.pk): row for row in rows}
    candidates = [Candidate(pk, row.text, (now - row.updated_at).total_seconds() / DAY) for pk, row in found.items()]
    return found, rank(query, candidates)
