"""LangGraph store of memories, so that graphs and ready-made memory tools can use them in the standard way."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction
from django.db.models import Q
from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)
from typing_extensions import override

from core.errors import NotAllowed
from memory import services
from memory.models import KEY_LIMIT, Memory, MemoryQuerySet
from memory.search import newest, ranked

ROOT = "memories"
FIELDS = ("text", "content", "kind")  # of a value; `content` is LangMem's word for `text`
BY_A_MODEL = (Memory.Source.AGENT, Memory.Source.EXTRACTION)


class DjangoStore(BaseStore):
    """Store whose namespace `("memories", user_id)` holds one user's memories, as values `{"text": …, "kind": …}`.

    Memories that a graph writes have the source `agent`. In an untrusted store they wait for a person's approval: until
    then `get` and `search` do not return them, and an item that they would change stays as it was. As in LangGraph's
    own stores, a batch reads before it writes, and of two writes to one key the last one counts. A put raises
    ValueError for a value that could not be returned unchanged; `ttl` and `index` are not supported.
    """

    __slots__ = ("trusted",)

    def __init__(self, *, trusted: bool = False) -> None:
        """Set `trusted` only if nothing from outside can influence what the graph writes."""
        self.trusted = trusted

    @override
    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run the operations. All writes of a batch happen, or none.

        Raises:
            ValueError: these rows cannot hold a key or value, or do not support a namespace or filter.
            Invalid: a text is blank or longer than 4,000 characters, or the user_id can't be one.
            NotAllowed: an untrusted store is asked to delete a memory that no model wrote.
        """
        ops = list(ops)
        results = [_read(op) for op in ops]
        puts = {(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}
        if puts:
            with transaction.atomic():
                for op in puts.values():
                    self._write(op)
        return results

    @override
    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Run `batch` in a thread, because the ORM is synchronous."""
        return await sync_to_async(self.batch)(list(ops))

    def _write(self, op: PutOp) -> None:
        user_id = _owner(op.namespace)
        if not 1 <= len(op.key) <= KEY_LIMIT:
            raise ValueError(f"Keys must have 1 to {KEY_LIMIT} characters.")
        if op.value is None:
            return self._delete(user_id, op.key)
        text, kind = _content(op.value)
        try:
            with transaction.atomic():
                self._put(user_id, op.key, text, kind)
        except IntegrityError:  # a concurrent put made the key's first item: this one changes it
            self._put(user_id, op.key, text, kind)

    def _put(self, user_id: str, key: str, text: str, kind: Memory.Kind) -> None:
        memory = _rows(user_id).filter(_named(key)).select_for_update().first()
        source = Memory.Source.AGENT
        if memory is not None:
            services.supersede(memory, text, source=source, kind=kind, trusted=self.trusted)
        else:
            services.add(user_id, text, source=source, kind=kind, key=key, trusted=self.trusted)

    def _delete(self, user_id: str, key: str) -> None:
        memory = _rows(user_id).filter(_named(key)).first()
        if memory is None:
            return
        if not self.trusted and memory.source not in BY_A_MODEL:
            raise NotAllowed("An agent can't forget a memory that a person wrote.")
        services.forget(memory)


def _read(op: Op) -> Result:
    if isinstance(op, GetOp):
        memory = _rows(_owner(op.namespace)).filter(_named(op.key)).first()
        return Item(**_item(memory)) if memory else None
    if isinstance(op, SearchOp):
        return _search(op)
    if isinstance(op, ListNamespacesOp):
        return _namespaces(op)
    return None


def _search(op: SearchOp) -> list[SearchItem]:
    found, ranking = ranked(newest(_rows(_owner(op.namespace_prefix))), op.query or "")
    items = [SearchItem(**_item(found[one.candidate.id]), score=one.score if op.query else None) for one in ranking]
    matching = [item for item in items if _matches(item.value, op.filter or {})]
    return matching[op.offset : op.offset + op.limit]


def _matches(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    for field, condition in wanted.items():
        checks = condition if isinstance(condition, dict) else {"$eq": condition}
        if not checks.keys() <= {"$eq", "$ne"}:
            raise ValueError("Values are strings. Filters on them can only use equality, $eq and $ne.")
        if any((value.get(field) == other) != (check == "$eq") for check, other in checks.items()):
            return False
    return True


def _namespaces(op: ListNamespacesOp) -> list[tuple[str, ...]]:
    users = Memory.objects.usable().order_by("user_id").values_list("user_id", flat=True).distinct()
    conditions = op.match_conditions or ()
    namespaces = [(ROOT, user) for user in users if all(_fits(one, (ROOT, user)) for one in conditions)]
    shortened = sorted({namespace[: op.max_depth] for namespace in namespaces})
    return shortened[op.offset : op.offset + op.limit]


def _fits(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    path, count = condition.path, len(condition.path)
    part = namespace[:count] if condition.match_type == "prefix" else namespace[-count:]
    return len(part) == count and all(want in ("*", have) for want, have in zip(path, part, strict=True))


def _owner(namespace: tuple[str, ...]) -> str:
    # A shorter prefix would search the memories of all users and give one user's to another user's agent.
    if len(namespace) != 2 or namespace[0] != ROOT:
        raise ValueError(f'The namespace must be ("{ROOT}", user_id), not {namespace!r}.')
    return namespace[1]


def _rows(user_id: str) -> MemoryQuerySet:
    return Memory.objects.usable().filter(user_id=user_id, scope=Memory.Scope.USER)


def _named(key: str) -> Q:
    """Return a filter by the key that a graph gave, or by the id, which is the key of all other memories."""
    try:
        return Q(key=key) & ~Q(key="") | Q(key="", pk=uuid.UUID(key))
    except ValueError:
        return Q(key=key) & ~Q(key="")


def _item(memory: Memory) -> dict[str, Any]:
    return {
        "namespace": (ROOT, memory.user_id),
        "key": memory.key or str(memory.pk),
        "value": {"text": memory.text, "kind": memory.kind},
        "created_at": memory.created_at,
        "updated_at": memory.updated_at,
    }


def _content(value: Mapping[str, Any]) -> tuple[str, Memory.Kind]:
    text = value.get("text", value.get("content"))
    known = value.keys() <= set(FIELDS) and not {"text", "content"} <= value.keys()
    if not known or not isinstance(text, str) or value.get("kind", Memory.Kind.FACT) not in Memory.Kind.values:
        raise ValueError(
            'A value must have the form {"text": "…", "kind": "fact", "preference", "instruction" or "episode"}.'
        )
    return text, Memory.Kind(value.get("kind", Memory.Kind.FACT))
