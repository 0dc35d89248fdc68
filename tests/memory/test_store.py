"""The contract of LangGraph's BaseStore, over the rows of memory."""

import os
import subprocess
import sys
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchOp

from core.errors import NotAllowed
from memory import services
from memory.models import Memory
from memory.store import DjangoStore

pytestmark = pytest.mark.django_db
ANN = ("memories", "ann")
TEA = {"text": "likes tea", "kind": "preference"}


@pytest.fixture
def store() -> DjangoStore:
    return DjangoStore(trusted=True)


def written_by_a_person(text: str = "likes jam") -> Memory:
    return services.add("ann", text, source=Memory.Source.API, trusted=True)


def value(store: DjangoStore, key: str) -> Any:
    item = store.get(ANN, key)
    return item and item.value


def test_a_batch_answers_each_in_its_place_and_reads_before_it_writes(store: DjangoStore) -> None:
    store.put(ANN, "a", TEA)
    ops: list[Any] = [PutOp(ANN, "a", {"text": "likes ham"}), GetOp(ANN, "a"), SearchOp(ANN), ListNamespacesOp()]
    answers: list[Any] = store.batch(ops)
    put, got, found, namespaces = answers
    assert (put, got.value, [item.key for item in found], namespaces) == (None, TEA, ["a"], [ANN])
    assert value(store, "a") == {"text": "likes ham", "kind": "fact"}


def test_of_two_writes_to_a_key_the_last_counts(store: DjangoStore) -> None:
    store.batch([PutOp(ANN, "a", {"text": "one"}), PutOp(ANN, "a", {"text": "two"})])
    assert [item.value["text"] for item in store.search(ANN)] == ["two"]


def test_a_batch_writes_all_or_nothing(store: DjangoStore) -> None:
    with pytest.raises(ValueError, match="A value must have the form"):
        store.batch([PutOp(ANN, "a", TEA), PutOp(ANN, "b", {"other": 1})])
    assert not Memory.objects.exists()


def test_the_asynchronous_batch_is_the_same(store: DjangoStore) -> None:
    async_to_sync(store.aput)(ANN, "a", TEA)
    assert async_to_sync(store.aget)(ANN, "a") == store.get(ANN, "a")
    assert value(store, "a") == TEA


def test_one_text_under_two_keys_is_two_items(store: DjangoStore) -> None:
    store.put(ANN, "a", TEA)
    store.put(ANN, "b", TEA)
    assert {item.key for item in store.search(ANN)} == {"a", "b"}


def test_what_others_wrote_is_found_by_its_id(store: DjangoStore) -> None:
    memory = written_by_a_person()
    assert value(store, str(memory.pk))["text"] == "likes jam"
    assert store.get(("memories", "bob"), str(memory.pk)) is None


def test_a_delete_forgets_and_a_second_one_is_fine(store: DjangoStore) -> None:
    store.put(ANN, "a", TEA)
    store.delete(ANN, "a")
    store.delete(ANN, "a")
    assert store.get(ANN, "a") is None
    assert Memory.objects.get().status == "forgotten"


def test_a_search_ranks_filters_and_pages(store: DjangoStore) -> None:
    for key, text in (("a", "likes tea"), ("b", "likes jam"), ("c", "lives in Rome")):
        store.put(ANN, key, {"text": text})
    assert store.search(ANN, query="jam")[0].key == "b"
    assert store.search(ANN, filter={"text": {"$ne": "likes tea"}, "kind": "fact"}, limit=1, offset=1)[0].key == "b"


def test_namespaces_are_listed_by_condition(store: DjangoStore) -> None:
    store.put(ANN, "a", TEA)
    store.put(("memories", "bob"), "a", TEA)
    only_bob = ListNamespacesOp((MatchCondition("suffix", ("bob",)),))
    assert store.batch([only_bob, ListNamespacesOp(max_depth=1)]) == [[("memories", "bob")], [("memories",)]]


@pytest.mark.parametrize("namespace", [("memories",), ("other", "ann"), ("memories", "ann", "x")])
def test_no_search_reaches_beyond_one_owner(store: DjangoStore, namespace: Any) -> None:
    with pytest.raises(ValueError, match="namespace must be"):
        store.search(namespace)


def test_an_untrusted_put_waits_for_approval() -> None:
    store = DjangoStore()
    store.put(ANN, "a", TEA)
    assert store.get(ANN, "a") is None
    services.approve(Memory.objects.get(status="pending", source="agent"))
    assert value(store, "a") == TEA


def test_an_untrusted_put_leaves_the_item_as_it_was(store: DjangoStore) -> None:
    store.put(ANN, "a", TEA)
    DjangoStore().put(ANN, "a", {"text": "is an admin"})
    assert value(store, "a") == TEA


def test_of_two_proposals_for_a_key_the_one_approved_last_counts(store: DjangoStore) -> None:
    for text in ("one", "two"):
        DjangoStore().put(ANN, "a", {"text": text})
    for memory in Memory.objects.order_by("created_at"):
        services.approve(memory)
    assert [item.value["text"] for item in store.search(ANN)] == ["two"]


def test_an_untrusted_store_does_not_delete_what_a_person_wrote() -> None:
    memory = written_by_a_person()
    with pytest.raises(NotAllowed):
        DjangoStore().delete(ANN, str(memory.pk))


def test_the_web_side_of_memory_loads_no_langchain() -> None:
    script = (
        "import sys, django; django.setup(); import memory.api.urls, memory.admin, memory.strategies;"
        "sys.exit(any(name.split('.')[0] in ('langchain', 'langchain_core', 'langgraph') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], env=_environment(), check=False).returncode == 0


def _environment() -> dict[str, str]:
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "agentsite.settings"}
