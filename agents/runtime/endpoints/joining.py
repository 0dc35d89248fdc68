"""Joining of values that came in pieces: texts are joined, objects merged, lists continued, else the last counts."""

from typing import Any

Parts = dict[str, Any]

ONCE = {"role", "name", "id", "type", "format", "object"}  # texts that servers repeat and never send in pieces
WORDS = {"text", "thinking", "summary"}  # texts of a block that come in pieces, beside which nothing may differ
SIGNATURE = "signature"  # the last part of a block


def joined(values: list[Any]) -> Any:
    """Return the one value that these pieces make; None if there are none."""
    given = [value for value in values if value is not None]
    if len(given) < 2:
        return given[0] if given else None
    if all(isinstance(value, str) for value in given):
        return "".join(given)
    if all(isinstance(value, dict) for value in given):
        return _merged(given)
    if all(isinstance(value, list) for value in given):
        return joined_blocks(given)
    return next((value for value in reversed(given) if value != ""), "")


def first_of(values: list[Any]) -> Any:
    """Return the first value that is neither None nor empty, else the first of all."""
    given = [value for value in values if value is not None]
    return next((value for value in given if value != ""), given[0] if given else None)


def joined_blocks(lists: list[list[Any]]) -> list[Any]:
    """Return one list. Elements with the same `index` are joined, and a block that a later list continues."""
    groups: list[list[Any]] = []
    for blocks in lists:
        for place, block in enumerate(blocks):
            group = _group_of(groups, block, is_first=place == 0)
            if group is None:
                groups.append([block])
            else:
                group.append(block)
    return [group[0] if len(group) == 1 else joined(group) for group in groups]


def _merged(objects: list[Parts]) -> Parts:
    merged: Parts = {}
    for key in dict.fromkeys(key for one in objects for key in one):
        values = [one[key] for one in objects if key in one]
        merged[key] = first_of(values) if key in ONCE else joined(values)
    return merged


def _group_of(groups: list[list[Any]], block: Any, *, is_first: bool) -> list[Any] | None:
    """Return the pieces of the block that this one belongs to, or None if it begins a new one.

    Args:
        is_first: whether the piece is the first one of its list. Only that one can continue a block without an index.
    """
    index = block.get("index") if isinstance(block, dict) else None
    if type(index) is int:
        same = (group for group in reversed(groups) if isinstance(group[0], dict) and group[0].get("index") == index)
        return next(same, None)
    return groups[-1] if is_first and groups and _continues(groups[-1], block) else None


def _continues(group: list[Any], block: Any) -> bool:
    head, last = group[0], group[-1]
    if not isinstance(block, dict) or not isinstance(head, dict):
        return isinstance(block, str) and isinstance(head, str)
    if not block.get("type") or SIGNATURE in last:
        return False
    return all(head[key] == block[key] for key in head.keys() & block.keys() - WORDS)
