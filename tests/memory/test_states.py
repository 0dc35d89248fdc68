"""The states of a memory: who may change them, and what of two at once."""

from typing import Any

import pytest

from core.errors import Conflict, Invalid, NotFound
from memory import services
from memory.models import Memory
from tests.support.concurrency import in_threads

pytestmark = pytest.mark.django_db
API, AGENT = Memory.Source.API, Memory.Source.AGENT


def kept(text: str = "likes tea", user: str = "ann", **more: Any) -> Memory:
    return services.add(user, text, **{"source": API, "trusted": True, **more})


def waiting(text: str = "likes tea", **more: Any) -> Memory:
    return kept(text, source=AGENT, trusted=False, **more)


def again(memory: Memory) -> Memory:
    return Memory.objects.get(pk=memory.pk)


def test_upper_and_lower_case_make_another_text() -> None:
    assert kept("the code is aB3").pk != kept("the code is AB3").pk


@pytest.mark.parametrize("text", [" likes  tea", "likes tea.", "likes\ntea"])
def test_blanks_and_a_full_stop_do_not(text: str) -> None:
    assert kept("likes tea").pk == kept(text).pk


def test_an_expired_text_is_remembered_anew() -> None:
    old = kept()
    Memory.objects.filter(pk=old.pk).update(expires_at="2020-01-01T00:00Z")
    assert kept().pk != old.pk
    assert again(old).status == "forgotten"


def test_an_untrusted_successor_leaves_the_old_one_until_it_is_approved() -> None:
    old = kept("lives in Bonn")
    new = services.supersede(old, "lives in Rome", source=AGENT, trusted=False)
    assert (again(old).status, new.status) == ("active", "pending")
    services.approve(new)
    assert (again(old).status, again(new).status) == ("superseded", "active")


def test_superseding_by_the_same_text_is_no_change() -> None:
    old = kept()
    assert services.supersede(old, "likes tea", source=API, trusted=True) == old


def test_history_is_not_superseded() -> None:
    old = services.forget(kept())
    with pytest.raises(Conflict) as caught:
        services.supersede(old, "likes jam", source=API, trusted=True)
    assert caught.value.code == "forgotten"


def test_history_is_not_approved_and_its_original_stays() -> None:
    old = kept("lives in Bonn")
    new = services.reject(services.supersede(old, "lives in Rome", source=AGENT, trusted=False))
    with pytest.raises(Conflict):
        services.approve(new)
    assert again(old).status == "active"


def test_a_stale_copy_can_not_approve_what_was_rejected() -> None:
    memory = waiting()
    services.reject(again(memory))
    with pytest.raises(Conflict):
        services.approve(memory)


def test_what_is_active_is_not_rejected() -> None:
    with pytest.raises(Conflict):
        services.reject(kept())


def test_what_is_erased_is_not_found() -> None:
    memory = kept()
    services.erase("ann")
    with pytest.raises(NotFound):
        services.forget(memory)


def test_a_bad_owner_is_refused() -> None:
    with pytest.raises(Invalid):
        kept(user="a/b")


@pytest.mark.django_db(transaction=True)
def test_one_text_from_many_threads_is_one_row() -> None:
    found = in_threads(8, lambda number: kept().pk)
    assert set(found) == {Memory.objects.get().pk}


@pytest.mark.django_db(transaction=True)
def test_of_two_successors_at_once_one_wins() -> None:
    old = kept()
    found = in_threads(2, lambda n: services.supersede(again(old), f"likes jam {n}", source=API, trusted=True))
    assert [type(one) for one in found].count(Conflict) == 1
    assert Memory.objects.filter(status="active").count() == 1
