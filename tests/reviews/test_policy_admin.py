"""Policy rules in the admin."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from reviews.models import AuditEntry, PolicyRule
from tests.support.accounts import grant

pytestmark = pytest.mark.django_db(transaction=True)

RULES = "/admin/reviews/policyrule/"
EVERYTHING = ("add_policyrule", "change_policyrule", "view_policyrule", "view_review")


@pytest.fixture
def desk(db: Any) -> Client:
    """The admin as somebody sees it who keeps the rules."""
    client = Client()
    keeper = User.objects.create_user("kim", is_staff=True)
    client.force_login(grant(keeper, *(f"reviews.{name}" for name in EVERYTHING)))
    return client


def form(**more: Any) -> dict[str, Any]:
    return {
        **{"name": "Small ones", "position": "10", "enabled": "on", "effect": "allow", "use_limit": "5", "reason": ""},
        **{"tool": "book_hotel", "user": "*", "agent": "*", "conditions": "nights < 5\r\nhotel_name starts with R"},
        **{"risk": "medium", "deciders": "reviewers", "seconds": "3600", "on_expiry": "reject", "allowed": ["accept"]},
        **more,
    }


def test_a_rule_is_made_from_lines_and_recorded(desk: Client) -> None:
    assert desk.post(f"{RULES}add/", form()).status_code == 302
    made = PolicyRule.objects.get()
    assert made.conditions == [
        {"argument": "nights", "is": "<", "value": 5},
        {"argument": "hotel_name", "is": "starts with", "value": "R"},
    ]
    assert (made.deciders, made.allowed, made.seconds) == (["reviewers"], ["accept"], 3600)
    assert (AuditEntry.objects.get().verb, AuditEntry.objects.get().actor) == ("rule_created", "kim")


def test_it_is_shown_and_changed_as_it_was_written(desk: Client) -> None:
    desk.post(f"{RULES}add/", form())
    page = f"{RULES}{PolicyRule.objects.get().pk}/change/"
    assert "nights &lt; 5\nhotel_name starts with &quot;R&quot;" in desk.get(page).content.decode()
    assert desk.post(page, form(enabled="")).status_code == 302
    assert list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True)) == ["rule_created", "rule_disabled"]


def test_the_list_says_what_the_rules_say(desk: Client) -> None:
    desk.post(f"{RULES}add/", form())
    content = desk.get(RULES).content.decode()
    for shown in ("Small ones", "nights &lt; 5; hotel_name", "0 / 5"):
        assert shown in content


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("conditions", "nights is about 5"),
        ("conditions", "__import__('os')"),
        ("deciders", ""),
        ("deciders", "everybody"),
        ("deciders", "group:Nobody"),
        ("allowed", []),
        ("seconds", "5"),
        ("use_limit", "0"),
        ("name", ""),
        ("effect", "eval"),
    ],
)
def test_what_makes_no_sense_is_told_at_its_field(desk: Client, field: str, value: Any) -> None:
    response = desk.post(f"{RULES}add/", form(**{field: value}))
    assert field in response.context["adminform"].form.errors
    assert not PolicyRule.objects.exists()


def test_a_limit_is_for_an_allow_alone(desk: Client) -> None:
    errors = desk.post(f"{RULES}add/", form(effect="deny")).context["adminform"].form.errors
    assert list(errors) == ["use_limit"]


def test_a_time_ends_after_it_begins(desk: Client) -> None:
    times = {"starts_at_0": "2026-02-01", "starts_at_1": "00:00", "ends_at_0": "2026-01-01", "ends_at_1": "00:00"}
    assert "ends_at" in desk.post(f"{RULES}add/", form(**times)).context["adminform"].form.errors


def test_a_group_that_exists_decides(desk: Client) -> None:
    Group.objects.create(name="Finance")
    desk.post(f"{RULES}add/", form(deciders="requester, group:Finance"))
    assert PolicyRule.objects.get().deciders == ["requester", "group:Finance"]


def test_a_new_rule_comes_last(desk: Client) -> None:
    PolicyRule.objects.create(name="first", position=30)
    assert 'name="position" value="40"' in desk.get(f"{RULES}add/").content.decode()


def test_rules_are_switched_off_and_not_deleted(desk: Client, admin_client: Client) -> None:
    made = PolicyRule.objects.create(name="all")
    desk.post(RULES, {"action": "switch_off", "_selected_action": [made.pk]})
    assert not PolicyRule.objects.get().enabled
    assert admin_client.post(f"{RULES}{made.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_broken_rule_can_be_looked_at_and_mended(desk: Client) -> None:
    made = PolicyRule.objects.create(name="all", conditions=[{"argument": "a", "is": "eval"}])
    assert "no operator" in desk.get(RULES).content.decode()
    assert desk.get(f"{RULES}{made.pk}/change/").status_code == 200
    assert desk.post(f"{RULES}{made.pk}/change/", form()).status_code == 302


def test_hidden_characters_are_shown_as_escapes(desk: Client) -> None:
    hidden = [{"argument": "a", "is": "equals", "value": "x\u202e"}]
    made = PolicyRule.objects.create(name="\u202e<b>", conditions=hidden)
    for page in (RULES, f"{RULES}try?rule={made.pk}"):
        content = desk.get(page).content.decode()
        assert "\u202e" not in content
        assert "<b>" not in content
    assert r"x\u202e" in desk.get(f"{RULES}{made.pk}/change/").content.decode()


# Try it.


@pytest.fixture
def booking(invoke: Any, work: Any) -> Any:
    task = invoke("book the Ritz for 2 nights")
    work()
    return task


def test_a_form_is_tried_without_saving(desk: Client, booking: Any) -> None:
    assert f'formaction="{RULES}try"' in desk.get(f"{RULES}add/").content.decode()
    content = desk.post(f"{RULES}try", form()).content.decode()
    assert "the rule matches 1 and changes the verdict on 1" in content
    assert "<strong>Allow</strong> (Small ones)" in content
    assert not PolicyRule.objects.exists()


def test_a_changed_form_of_a_saved_rule_is_tried_without_saving(desk: Client, booking: Any) -> None:
    made = PolicyRule.objects.create(name="all", effect="review")
    content = desk.post(f"{RULES}try?rule={made.pk}", form(effect="deny", use_limit="")).content.decode()
    assert f"<strong>Deny</strong> (#{made.pk}: Small ones)" in content
    assert PolicyRule.objects.get().effect == "review"


def test_a_saved_rule_is_tried_as_it_is(desk: Client, booking: Any) -> None:
    made = PolicyRule.objects.create(name="all", effect="deny")
    assert f'formaction="{RULES}try?rule={made.pk}"' in desk.get(f"{RULES}{made.pk}/change/").content.decode()
    assert "<strong>Deny</strong>" in desk.get(f"{RULES}try?rule={made.pk}").content.decode()


def test_a_form_that_is_not_valid_is_told(desk: Client, booking: Any) -> None:
    content = desk.post(f"{RULES}try", form(conditions="nights is about 5")).content.decode()
    assert "Conditions: Line 1" in content
    assert "<table" not in content


@pytest.mark.parametrize("query", ["", "?rule=", "?rule=0", "?rule=x"])
def test_without_a_rule_there_is_nothing_to_try(desk: Client, query: str) -> None:
    assert desk.get(f"{RULES}try{query}").status_code == 404


def test_outsiders_see_no_rules_and_try_none(booking: Any, reviewer: User) -> None:
    client = Client()
    assert client.get(f"{RULES}try").status_code == 302
    for user in (reviewer, grant(User.objects.create_user("stan", is_staff=True), "reviews.view_policyrule")):
        client.force_login(user)
        assert client.post(f"{RULES}try", form()).status_code == 403
        assert client.post(f"{RULES}add/", form()).status_code == 403
