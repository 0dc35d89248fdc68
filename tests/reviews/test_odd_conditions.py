"""Conditions of each operator with values that one does not expect, as rules judge a call by them."""

from typing import Any

import pytest

from agents.policy import REQUESTER, REVIEWERS, Call, Terms, Verdict
from reviews.models import PolicyRule
from reviews.policy import conditions, engine
from reviews.policy.conditions import Condition

YES, UNSURE, NO = "yes", "unsure", "no"
HUGE = 2**64 - 1


def said(line: str, args: dict[str, Any], *, every_item: bool = False) -> str:
    wanted = conditions.read(line)
    if conditions.hold(wanted, args, sure=True, every_item=every_item):
        return YES
    return UNSURE if conditions.hold(wanted, args, sure=False, every_item=every_item) else NO


@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        (f"a <= {HUGE}", HUGE, YES),
        (f"a < {HUGE}", HUGE, NO),
        (f"a > {HUGE}", 1e300, YES),
        ("a > 0.1", 0.1, NO),
        ("a >= 0.3", 0.1 + 0.2, YES),
        ("a >= 0", -0.0, YES),
        ("a < 0", -0.0, NO),
        ("a >= -1e308", -1e308, YES),
        ("a < 5", [], UNSURE),
        ("a < 5", {}, UNSURE),
        ("a < 5", "", UNSURE),
        ("a < 5", False, UNSURE),
    ],
)
def test_bounds_of_numbers(line: str, value: Any, expected: str) -> None:
    assert said(line, {"a": value}) == expected


@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        ("a equals 0", -0.0, YES),
        ("a equals 0", False, UNSURE),
        ("a equals false", 0, UNSURE),
        (f"a equals {HUGE}", HUGE, YES),
        (f"a equals {HUGE}", HUGE - 1, NO),
        ('a equals ""', "", YES),
        ('a equals ""', " ", NO),
        ('a equals ""', None, UNSURE),
        ("a equals []", [], YES),
        ("a equals []", [None], NO),
        ("a equals []", {}, UNSURE),
        ("a equals {}", {}, YES),
        ('a equals {"x": 1}', {"x": True}, NO),
        ('a equals {"x": 1}', {"x": 1.0}, YES),
        ("a equals [1, 2]", [2, 1], NO),
        ('a equals "null"', "null", YES),
        ('a equals "null"', None, UNSURE),
        (r'a equals "a\\b"', "a\\b", YES),
        ("a equals a.b", "axb", NO),
        ("a equals é", "e\N{COMBINING ACUTE ACCENT}", NO),
        ("a does not equal 0", False, UNSURE),
        ("a does not equal 0", -0.0, NO),
        ("a does not equal []", [[]], YES),
        ('a does not equal ""', "", NO),
        ('a does not equal ""', "x", YES),
        ("a does not equal true", False, YES),
        ("a does not equal true", "true", UNSURE),
    ],
)
def test_being_equal(line: str, value: Any, expected: str) -> None:
    assert said(line, {"a": value}) == expected


@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        ("a one of [0, 1]", True, UNSURE),
        ("a one of [true]", True, YES),
        ("a one of [true]", 1, UNSURE),
        ("a one of [1, 2.5]", 2.5, YES),
        ("a one of [[1], []]", [], YES),
        ("a one of [[1], []]", [2], NO),
        ('a one of [{"x": 1}]', {"x": 1}, YES),
        ('a one of ["eur"]', ["eur"], UNSURE),
        ('a one of ["a.c"]', "abc", NO),
        ("a not one of [1, 2]", 3, YES),
        ("a not one of [1, 2]", 1.0, NO),
        ("a not one of [1, 2]", "1", UNSURE),
        ("a not one of [true]", False, YES),
        ("a not one of [[1]]", [1], NO),
    ],
)
def test_lists_of_values(line: str, value: Any, expected: str) -> None:
    assert said(line, {"a": value}) == expected


@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        ("a starts with 5", "50", YES),
        ("a starts with 5", 50, UNSURE),
        ("a starts with [x]", "[x]y", YES),
        ("a starts with ^", "^x", YES),
        ("a starts with ab", "AB", UNSURE),
        ("a starts with ab", "", NO),
        ("a ends with $", "5$", YES),
        ("a ends with .exe", "xexe", NO),
        ("a ends with 张三", "我是张三", YES),
        ("a contains ()", "f()", YES),
        ("a contains a b", "xa by", YES),
        (r'a contains "\n"', "x\ny", YES),
        ("a contains 😀", "x😀", YES),
        ("a contains true", True, UNSURE),
        ("a matches ?", "", NO),
        ("a matches ?", "张", YES),
        ("a matches [", "[", YES),
        ("a matches [!a]*", "apple", NO),
        ("a matches [!a]*", "pear", YES),
        ("a matches *.pdf", "x.pdf\n", NO),
        ("a matches a.c", "abc", NO),
        ("a does not contain .", "abc", YES),
        ("a does not match *", "", NO),
        ("a does not match *", 5, UNSURE),
        ("a does not start with a", "", YES),
        ("a does not end with \\", "a\\", NO),
    ],
)
def test_parts_of_texts(line: str, value: Any, expected: str) -> None:
    assert said(line, {"a": value}) == expected


@pytest.mark.parametrize("value", [0, False, "", [], {}, "null"])
def test_an_empty_value_is_there_all_the_same(value: Any) -> None:
    assert said("a is there", {"a": value}) == YES
    assert said("a is missing", {"a": value}) == NO


@pytest.mark.parametrize("args", [{}, {"a": None}, {"a": {}}, {"a": {"b": None}}, {"a": 5}, {"a": ["b"]}])
def test_what_is_below_nothing_is_missing(args: dict[str, Any]) -> None:
    assert said("a.b is missing", args) == YES
    assert said("a.b is there", args) == NO


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a equals bob # boss", "bob # boss"),
        ('a equals "bob" or "ann"', '"bob" or "ann"'),
        ("a equals TRUE", "TRUE"),
        ("a equals 05", "05"),
        ("a equals 1_000", "1_000"),
        ("a equals {broken", "{broken"),
        ("a contains 5", "5"),
        ('a contains "5"', "5"),
        ("a starts with [1]", "[1]"),
    ],
)
def test_what_is_no_json_is_a_text(line: str, expected: str) -> None:
    (found,) = conditions.read(line)
    assert found.value == expected


def test_of_two_operators_that_begin_alike_the_longer_is_read() -> None:
    found = conditions.read("a not one of [1]\nb <= 5\nc is there\nd does not start with x")
    assert [one.operator for one in found] == ["not one of", "<=", "is there", "does not start with"]


@pytest.mark.parametrize("text", ["", "\n\n", "  \n\t"])
def test_lines_without_anything_are_no_conditions(text: str) -> None:
    assert conditions.read(text) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a", "Line 1: After the argument, enter one of these operators: equals"),
        ("a < x", "Line 1: < requires a number."),
        ("a starts with", "Line 1: 'starts with' requires a text."),
        ("a equals null", "Line 1: 'equals' requires a value. For null, use 'is missing'."),
        ('a one of ["x", 1]', "Line 1: 'one of' requires a list of values of the same type."),
        ("* < 5", "Line 1: * stands for all arguments."),
        ("a[] is there", "Line 1: 'is there' takes no value and can't be used for the items of a list."),
        ("a[0].b equals 1", "Line 1: 'a[0].b' is not a valid path to an argument."),
        (f"a equals {2**64}", "A value can't contain NUL characters, lone surrogates or integers beyond 64 bits."),
        (f'a equals "{"x" * 9_999}"', "A value can have at most 10000 characters."),
    ],
)
def test_the_author_of_a_condition_reads_what_is_wrong(line: str, told: str) -> None:
    with pytest.raises(ValueError, match="Line 1") as refused:
        conditions.read(line)
    assert told in str(refused.value)


def test_a_value_of_just_the_longest_length_is_taken() -> None:
    assert Condition("a", "equals", "x" * 9_998).value == "x" * 9_998  # with its quotes 10,000


def test_twenty_conditions_are_taken_and_one_more_is_not() -> None:
    assert len(conditions.read("a > 1\n" * 20)) == 20
    with pytest.raises(ValueError, match="at most 20 items"):
        conditions.read("a > 1\n" * 21)


def test_a_path_of_200_characters_is_taken_and_one_more_is_not() -> None:
    assert Condition("a" * 200, "is there").argument == "a" * 200
    with pytest.raises(ValueError, match="not a valid path"):
        Condition("a" * 201, "is there")


@pytest.mark.parametrize("path", ["a.b.c", "a[].b[].c", "a-b", "$x", "张三", "a_1[]", '"a"'])
def test_paths_are_names_joined_by_dots(path: str) -> None:
    assert Condition(path, ">", 1).data() == {"argument": path, "is": ">", "value": 1}


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a b", "a[]b", "a[][]", "a]", "*.a", "**", "a\n"])
def test_whatever_else_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match="not a valid path"):
        Condition(path, ">", 1)


# Rules that are made of them

DECLARED = Terms(risk="high", deciders=(REQUESTER,), distinct=False, seconds=60.0)


def rule(effect: str, line: str = "", **more: Any) -> PolicyRule:
    data = [one.data() for one in conditions.read(line)]
    made: PolicyRule = PolicyRule.objects.create(effect=effect, tool="pay", conditions=data, **more)
    return made


def judged(rules: list[PolicyRule], declared: Terms | None = DECLARED, **args: Any) -> Verdict:
    return engine.judge(Call("pay", args, "ann", "default", declared), rules)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("effect", "args", "action"),
    [
        ("allow", {"amount": 5}, "allow"),
        ("allow", {"amount": "5"}, "review"),
        ("allow", {}, "review"),
        ("deny", {"amount": 5}, "deny"),
        ("deny", {"amount": "5"}, "deny"),
        ("deny", {"amount": None}, "deny"),
        ("deny", {}, "deny"),
        ("deny", {"amount": 50}, "review"),
        ("review", {"amount": "5"}, "review"),
    ],
)
def test_in_doubt_an_allow_does_not_hold_and_a_deny_does(effect: str, args: dict[str, Any], action: str) -> None:
    assert judged([rule(effect, "amount < 10")], **args).action == action


@pytest.mark.django_db
def test_a_doubt_about_a_review_goes_to_reviewers_and_not_to_the_requester() -> None:
    made = rule("review", "amount < 10", deciders=[REQUESTER])
    verdict = judged([made], amount="5")
    assert verdict.rule.endswith(" (unclear)")
    assert verdict.terms.deciders == (REVIEWERS,)
    assert verdict.terms.risk == "high", "the highest risk of the rule and of the tool"


@pytest.mark.django_db
def test_a_doubt_about_a_review_holds_for_a_tool_that_is_free() -> None:
    made = rule("review", "amount < 10")
    assert judged([made], None, amount="5").action == "review"
    assert judged([made], None, amount=50).action == "allow"


@pytest.mark.django_db
def test_a_deny_counts_wherever_it_stands() -> None:
    allow, deny = rule("allow"), rule("deny", "amount >= 1000", reason="Too much.")
    assert judged([allow, deny], amount=999).action == "allow"
    verdict = judged([allow, deny], amount=1000)
    assert (verdict.action, verdict.reason, verdict.rule_id) == ("deny", "Too much.", deny.pk)


@pytest.mark.django_db
def test_of_a_list_an_allow_needs_all_items_and_a_deny_one() -> None:
    line = "to[] ends with @example.com"
    both, none = ["a@example.com", "b@evil.com"], ["b@evil.com"]
    allow, deny = rule("allow", line), rule("deny", line)
    assert [judged([allow], to=to).action for to in (both, none, [], both[:1])] == ["review"] * 3 + ["allow"]
    assert [judged([deny], to=to).action for to in (both, none, [], both[:1])] == ["deny", "review", "review", "deny"]


@pytest.mark.django_db
@pytest.mark.parametrize("effect", ["allow", "deny", "review"])
def test_a_rule_whose_conditions_can_not_be_read_lets_nothing_through(effect: str) -> None:
    made = rule(effect)
    PolicyRule.objects.update(conditions=[{"argument": "a", "is": "is about", "value": 5}])
    made.refresh_from_db()
    verdict = judged([made], None, a=5)
    assert verdict.action == "review"
    assert verdict.rule.endswith(" (unclear)")
    assert verdict.terms.deciders == (REVIEWERS,)


@pytest.mark.django_db
def test_a_deny_that_holds_is_not_undone_by_one_that_is_broken() -> None:
    broken, sound = rule("deny", "a > 0"), rule("deny", "a > 1")
    broken.conditions = "nonsense"
    assert judged([broken, sound], a=5).rule_id == sound.pk
    assert judged([broken, sound], a=1).rule_id == broken.pk


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ((), Terms()),
        ((None, None), Terms()),
        ((DECLARED,), Terms(risk="high", seconds=60.0)),
        ((Terms(risk="low"), DECLARED), Terms(risk="high")),
        ((Terms(deciders=("group:board", REQUESTER)),), Terms(deciders=("group:board",))),
        ((Terms(risk="low"), Terms(risk="low", distinct=True)), Terms(risk="low", distinct=True)),
    ],
)
def test_strict_terms_leave_out_the_requester_and_keep_the_highest_risk(
    known: tuple[Terms | None, ...], expected: Terms
) -> None:
    assert engine.strict(*known) == expected
