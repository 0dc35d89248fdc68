"""Memories at their borders: ranking, budgets, states, a store's values, and pages of the list."""

import base64
import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from core.errors import Conflict, Invalid, NotAllowed, NotFound
from memory import services
from memory.models import TEXT_LIMIT, Memory
from memory.recall import Candidate, Scored, fill, rank
from memory.store import DjangoStore
from memory.strategies import Default, made_for, remembers

pytestmark = pytest.mark.django_db
API, AGENT = Memory.Source.API, Memory.Source.AGENT
LIST = "/agent/longterm/ann"


def kept(text: str = "likes tea", user: str = "ann", **more: Any) -> Memory:
    return services.add(user, text, **{"source": API, "trusted": True, **more})


def waiting(text: str = "likes tea", **more: Any) -> Memory:
    return kept(text, source=AGENT, trusted=False, **more)


def status(memory: Memory) -> str:
    return Memory.objects.get(pk=memory.pk).status


# Ranking, on plain values


def test_nothing_ranks_nothing() -> None:
    assert rank("tea", []) == []


@pytest.mark.parametrize("query", ["", "   ", "?!…", "\x00", "🍵"])
def test_a_query_without_words_ranks_by_age_alone(query: str) -> None:
    found = rank(query, [Candidate("old", "tea", 60.0), Candidate("new", "coffee", 0.0), Candidate("mid", "tea", 30.0)])
    assert [one.candidate.id for one in found] == ["new", "mid", "old"]
    assert [one.score for one in found] == pytest.approx([0.01, 0.005, 0.0025])


def test_a_memory_from_the_future_is_as_good_as_one_of_now() -> None:
    (found,) = rank("", [Candidate("a", "tea", -400.0)])
    assert found.score == pytest.approx(0.01)


def test_a_memory_that_has_all_the_words_gets_the_whole_share() -> None:
    full, half = rank("green tea", [Candidate("a", "Green TEA!", 1e6), Candidate("b", "green", 1e6)])
    assert (full.candidate.id, full.score) == ("a", pytest.approx(0.2))
    assert 0 < half.score < 0.2


def test_a_word_that_is_said_twice_in_a_query_counts_once() -> None:
    given = [Candidate("a", "tea"), Candidate("b", "milk")]
    assert rank("tea tea tea milk", given) == rank("tea milk", given)


def test_of_complete_equals_the_id_decides_so_that_the_order_is_stable() -> None:
    found = rank("tea", [Candidate(name, "tea") for name in "cab"])
    assert [one.candidate.id for one in found] == ["a", "b", "c"]


def test_similarities_have_to_be_one_for_each() -> None:
    with pytest.raises(ValueError, match="shorter"):
        rank("tea", [Candidate("a", "tea"), Candidate("b", "tea")], [0.5])


def test_a_similarity_below_zero_puts_a_memory_behind() -> None:
    found = rank("x", [Candidate("a", "tea"), Candidate("b", "tea")], [-0.5, None])
    assert [one.candidate.id for one in found] == ["b", "a"]


@pytest.mark.parametrize(("budget", "ids"), [(-1, []), (0, ["empty"]), (1, ["empty", "one"]), (2, ["empty", "one"])])
def test_a_budget_is_used_to_its_last_token(budget: int, ids: list[str]) -> None:
    given = [("empty", ""), ("one", "abcd"), ("two", "abcde")]
    assert [one.candidate.id for one in fill([Scored(Candidate(*pair), 0.0) for pair in given], budget)] == ids


# States


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000", "x" * (TEXT_LIMIT + 1)])
def test_a_text_of_a_wrong_length_is_refused_with_the_limit(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        kept(text)
    assert refused.value.extra == {
        "errors": {"text": ["A memory must have 1 to 4000 characters, and not only whitespace."]}
    }
    assert not Memory.objects.exists()


def test_a_text_of_just_the_longest_length_is_kept() -> None:
    assert len(kept("张" * TEXT_LIMIT).text) == TEXT_LIMIT


def test_what_a_model_writes_is_kept_without_what_no_database_holds() -> None:
    assert kept("a\x00b\ud800").text == "a\N{REPLACEMENT CHARACTER}b?"


@pytest.mark.parametrize("other", ["喜欢茶。", "喜欢茶", "喜欢茶 。.", "\n喜欢茶"])
def test_a_full_stop_of_another_script_makes_no_other_text(other: str) -> None:
    assert kept("喜欢茶").pk == kept(other).pk


def test_the_same_text_in_another_place_is_another_memory() -> None:
    places: list[dict[str, Any]] = [
        {},
        {"scope": Memory.Scope.SESSION, "scope_ref": "s1"},
        {"scope": Memory.Scope.SESSION, "scope_ref": "s2"},
        {"scope": Memory.Scope.AGENT, "scope_ref": "s1"},
        {"key": "k"},
        {"user": "bob"},
    ]
    assert len({kept(**place).pk for place in places}) == len(places)


def test_writing_a_waiting_text_again_approves_it_only_if_it_is_trusted() -> None:
    first = waiting()
    assert waiting().pk == first.pk
    assert status(first) == "pending"
    assert kept().pk == first.pk
    assert status(first) == "active"
    assert waiting().pk == first.pk
    assert status(first) == "active", "an untrusted write takes nothing back"


def test_a_text_that_was_forgotten_is_a_new_memory_when_it_is_written_again() -> None:
    first = services.forget(kept())
    second = kept()
    assert second.pk != first.pk
    assert (status(first), status(second)) == ("forgotten", "active")


def test_forgetting_twice_is_no_error_and_keeps_the_first_date() -> None:
    memory = services.forget(kept())
    ended = memory.valid_until
    services.forget(memory)
    assert Memory.objects.get().valid_until == ended is not None


def test_rejecting_twice_is_no_error() -> None:
    memory = services.reject(waiting())
    assert services.reject(memory).status == "forgotten"


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [("forget", "forgotten", "This memory has been forgotten."), ("supersede", "superseded", "has been superseded")],
)
def test_history_says_what_became_of_it(change: str, code: str, text: str) -> None:
    memory = kept()
    if change == "forget":
        services.forget(memory)
    else:
        services.supersede(memory, "likes coffee", source=API, trusted=True)
    tries = [
        lambda: services.approve(memory),
        lambda: services.supersede(memory, "x", source=API, trusted=True),
        lambda: services.supersede(memory, "x", source=AGENT, trusted=False),
    ]
    for attempt in tries:
        with pytest.raises(Conflict, match=text) as refused:
            attempt()
        assert refused.value.code == code


def test_an_active_memory_can_not_be_rejected_and_says_so() -> None:
    with pytest.raises(Conflict, match="already active") as refused:
        services.reject(kept())
    assert refused.value.code == "active"


@pytest.mark.parametrize("change", [services.approve, services.reject, services.forget])
def test_what_was_erased_meanwhile_is_not_found(change: Any) -> None:
    memory = waiting()
    assert services.erase("ann") == 1
    with pytest.raises(NotFound):
        change(memory)


def test_the_same_text_of_another_kind_is_a_change() -> None:
    old = kept()
    new = services.supersede(old, old.text, source=API, kind=Memory.Kind.PREFERENCE, trusted=True)
    assert (new.kind, new.supersedes_id) == ("preference", old.pk)
    assert status(old) == "superseded"


def test_a_successor_keeps_the_kind_the_place_and_the_key_of_the_old_one() -> None:
    old = kept(kind=Memory.Kind.EPISODE, scope=Memory.Scope.SESSION, scope_ref="s1", key="k")
    new = services.supersede(old, "likes coffee", source=AGENT, trusted=True)
    place = (new.user_id, new.kind, new.scope, new.scope_ref, new.key, new.source)
    assert place == ("ann", "episode", "session", "s1", "k", "agent")


def test_a_text_that_is_refused_leaves_the_old_memory_as_it_was() -> None:
    old = kept()
    with pytest.raises(Invalid):
        services.supersede(old, " ", source=API, trusted=True)
    assert status(old) == "active"


def test_of_sessions_that_are_erased_only_those_of_their_own_user_lose_memories() -> None:
    for user in ("ann", "bob"):
        for name in ("s1", "s2"):
            kept(user=user, scope=Memory.Scope.SESSION, scope_ref=name)
    kept(scope=Memory.Scope.AGENT, scope_ref="s1")
    assert services.erase_sessions([("ann", "s1"), ("bob", "s2")]) == 2
    left = set(Memory.objects.values_list("user_id", "scope", "scope_ref"))
    assert left == {("ann", "session", "s2"), ("bob", "session", "s1"), ("ann", "agent", "s1")}
    assert services.erase_sessions([]) == 0


# What is recalled


@pytest.mark.parametrize(
    ("field", "delta", "recalled"),
    [
        ("valid_from", timedelta(minutes=5), False),
        ("valid_from", -timedelta(minutes=5), True),
        ("expires_at", timedelta(minutes=5), True),
        ("valid_until", timedelta(minutes=5), True),
    ],
)
def test_a_memory_is_recalled_from_its_beginning_to_its_end(field: str, delta: timedelta, recalled: bool) -> None:
    memory = kept()
    Memory.objects.update(**{field: timezone.now() + delta})
    assert [one.id for one in Default().recall("ann", "s1", "tea")] == ([str(memory.pk)] if recalled else [])


@pytest.mark.parametrize("tokens", [0, 1])
def test_without_room_nothing_is_recalled_and_nothing_counts_as_used(settings: Any, tokens: int) -> None:
    settings.MEMORY_TOKENS = tokens
    memory = kept()
    assert Default().recall("ann", "s1", "tea") == []
    memory.refresh_from_db()
    assert (memory.use_count, memory.last_used_at) == (0, None)


def test_each_recall_counts_and_is_no_change_of_the_memory() -> None:
    memory = kept()
    for _ in range(2):
        Default().recall("ann", "s1", "tea")
    found = Memory.objects.get()
    assert found.use_count == 2
    assert found.updated_at == memory.updated_at


class Own:
    """A strategy of one's own."""

    def __init__(self, agent: str = "nobody") -> None:
        self.agent = agent

    def recall(self, user_id: str, session: str, query: str) -> list[Any]:
        return []


class Keen(Own):
    """It looks at completed tasks, too."""

    def remember(self, task: Any) -> None:
        self.agent = str(task)


def test_a_strategy_is_told_its_agent_if_it_wants_to_know() -> None:
    strategies: list[Any] = [
        made_for("sales", Own),
        made_for("sales", lambda **more: Own(more["agent"])),
        made_for("sales", lambda: Own()),
    ]
    assert [one.agent for one in strategies] == ["sales", "sales", "nobody"]


def test_only_a_strategy_with_a_remember_of_its_own_looks_at_tasks() -> None:
    assert [remembers(one) for one in (Default(), Own(), Keen())] == [False, False, True]


# A LangGraph store


@pytest.fixture
def store() -> DjangoStore:
    return DjangoStore(trusted=True)


HERS = ("memories", "ann")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"text": 5},
        {"text": "a", "content": "a"},
        {"text": "a", "kind": "opinion"},
        {"text": "a", "kind": None},
        {"text": "a", "more": 1},
    ],
)
def test_a_value_of_another_form_is_refused_and_nothing_is_kept(store: DjangoStore, value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="A value must have the form"):
        store.put(HERS, "k", value)
    assert not Memory.objects.exists()


def test_content_is_another_word_for_text(store: DjangoStore) -> None:
    store.put(HERS, "k", {"content": "likes tea", "kind": "preference"})
    found = store.get(HERS, "k")
    assert found is not None
    assert found.value == {"text": "likes tea", "kind": "preference"}


@pytest.mark.parametrize(("length", "taken"), [(0, False), (1, True), (255, True), (256, False)])
def test_a_key_has_1_to_255_characters(store: DjangoStore, length: int, taken: bool) -> None:
    key = "k" * length
    if taken:
        store.put(HERS, key, {"text": "a"})
        assert store.get(HERS, key) is not None
    else:
        with pytest.raises(ValueError, match="Keys must have 1 to 255 characters"):
            store.put(HERS, key, {"text": "a"})


def test_a_filter_knows_only_equality(store: DjangoStore) -> None:
    store.put(HERS, "a", {"text": "a"})
    store.put(HERS, "b", {"text": "b", "kind": "episode"})
    filters = ({"kind": "fact"}, {"kind": {"$ne": "fact"}}, {"kind": {"$eq": "fact", "$ne": "fact"}}, {"colour": "red"})
    assert [[one.key for one in store.search(HERS, filter=one)] for one in filters] == [["a"], ["b"], [], []]
    with pytest.raises(ValueError, match="can only use equality"):
        store.search(HERS, filter={"kind": {"$gt": "a"}})


@pytest.mark.parametrize(
    ("kind", "path", "count"),
    [
        ("prefix", ("memories",), 2),
        ("prefix", ("*", "ann"), 1),
        ("suffix", ("bob",), 1),
        ("suffix", ("*",), 2),
        ("prefix", ("other",), 0),
        ("prefix", ("memories", "ann", "x"), 0),
        ("suffix", ("x", "memories", "ann"), 0),
    ],
)
def test_namespaces_are_found_by_their_beginning_or_end(
    store: DjangoStore, kind: str, path: tuple[str, ...], count: int
) -> None:
    kept()
    kept(user="bob")
    named: dict[str, Any] = {kind: path}
    found = store.list_namespaces(**named)
    assert len(found) == count


def test_a_model_may_forget_what_a_model_wrote_and_nothing_else() -> None:
    untrusted = DjangoStore(trusted=False)
    own, hers = kept("its own", source=AGENT), kept("of a person")
    untrusted.delete(HERS, str(own.pk))
    with pytest.raises(NotAllowed, match="can't forget a memory that a person wrote"):
        untrusted.delete(HERS, str(hers.pk))
    assert (status(own), status(hers)) == ("forgotten", "active")


def test_what_is_not_there_is_none_and_can_be_deleted(store: DjangoStore) -> None:
    assert store.get(HERS, "nothing") is None
    assert store.get(HERS, str(uuid.uuid4())) is None
    store.delete(HERS, "nothing")


# Pages of the list


def pages(api: Any, query: str) -> list[list[str]]:
    found, following = [], ""
    while following is not None:
        body = api.get(f"{LIST}?{query}{following and f'&cursor={following}'}").json()
        found.append([one["text"] for one in body["results"]])
        following = body["next"]
    return found


@pytest.fixture
def five(db: Any) -> list[Memory]:
    """Five memories of one moment, so that only the id orders them."""
    made = [kept(f"m{number}") for number in range(5)]
    Memory.objects.update(created_at=timezone.now())
    return made


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (1000, [5])])
def test_pages_have_each_memory_once_and_the_last_has_no_next(
    api: Any, five: list[Memory], limit: int, sizes: list[int]
) -> None:
    found = pages(api, f"limit={limit}")
    assert [len(page) for page in found] == sizes
    assert sorted(text for page in found for text in page) == [f"m{number}" for number in range(5)]


@pytest.mark.parametrize(
    "limit", ["", "0", "-1", "+1", "1.0", "1e2", "1001", "99999", "100000", "٣", "0x1", "1 ", "null"]
)
def test_a_limit_that_is_none_is_told_what_is_one(api: Any, five: list[Memory], limit: str) -> None:
    response = api.get(LIST, {"limit": limit})
    assert response.status_code == 400
    assert "Must be a whole number from 1 to 1000." in response.content.decode()


@pytest.mark.parametrize("limit", ["1", "101", "1000", "01", "00001"])
def test_limits_from_1_to_1000_are_taken(api: Any, five: list[Memory], limit: str) -> None:
    assert len(api.get(LIST, {"limit": limit}).json()["results"]) == min(int(limit), 5)


def test_the_cursor_of_a_memory_that_is_gone_still_leads_on(api: Any, five: list[Memory]) -> None:
    first = api.get(f"{LIST}?limit=2").json()
    gone = first["results"][-1]["text"]
    Memory.objects.filter(text=gone).delete()
    rest = api.get(f"{LIST}?cursor={first['next']}").json()["results"]
    assert len(rest) == 3
    assert not {one["text"] for one in rest} & {one["text"] for one in first["results"]}


def test_what_is_written_meanwhile_does_not_move_the_pages(api: Any, five: list[Memory]) -> None:
    first = api.get(f"{LIST}?limit=3").json()
    kept("new")
    second = api.get(f"{LIST}?limit=3&cursor={first['next']}").json()
    texts = [one["text"] for one in first["results"] + second["results"]]
    assert sorted(texts) == [f"m{number}" for number in range(5)]


def cursor(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


NOW = "2026-01-01T00:00:00+00:00"
SOME_ID = "5c86f9ed-6cc2-4b5e-88bb-6d46420f4f49"  # of no memory; fixed, as it is part of the names of tests


@pytest.mark.parametrize(
    "given",
    [
        cursor(1, 0),
        cursor(NOW),
        cursor(NOW, 1),
        cursor(NOW, SOME_ID, "x"),
        cursor(NOW, "no id"),
        cursor("2026-01-01T00:00:00", SOME_ID),
        cursor("0001-01-01T00:00:00+14:00", SOME_ID),
        cursor("9999-12-31T23:59:59-14:00", SOME_ID),
        cursor("yesterday", SOME_ID),
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode()[:3000],
        "=",
        "é",
        "a",
    ],
)
def test_a_cursor_of_another_list_or_of_none_is_refused_by_name(api: Any, five: list[Memory], given: str) -> None:
    response = api.get(LIST, {"cursor": given})
    assert response.status_code == 400
    assert "Not a valid cursor. Send the value of `next` from the previous page." in response.content.decode()


def test_an_empty_cursor_is_the_first_page(api: Any, five: list[Memory]) -> None:
    assert api.get(f"{LIST}?cursor=&limit=5").json() == api.get(f"{LIST}?limit=5").json()


def test_a_cursor_of_another_user_shows_nothing_of_theirs(api: Any, five: list[Memory]) -> None:
    theirs = [kept(f"b{number}", user="bob") for number in range(3)]
    following = api.get("/agent/longterm/bob?limit=1").json()["next"]
    texts = [one["text"] for one in api.get(f"{LIST}?cursor={following}").json()["results"]]
    assert theirs
    assert sorted(texts) == [f"m{number}" for number in range(5)], "all of hers are older"


def test_a_search_has_one_page_and_says_what_to_do_for_more(api: Any, five: list[Memory]) -> None:
    assert api.get(f"{LIST}?query=m3&limit=1").json()["next"] is None
    response = api.get(f"{LIST}?query=m3&cursor=")
    assert response.status_code == 400
    assert "raise `limit`" in response.content.decode()
