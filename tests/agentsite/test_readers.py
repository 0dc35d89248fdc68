"""Those who read the admin choose their language and their time zone; what programs read has neither choice."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone, translation

from agents.models import Interrupt
from core import timezones
from core.models import Preferences
from reviews.decisions import services
from tests.support.accounts import client_of
from tests.support.helpers import ids_of, open_review

pytestmark = pytest.mark.django_db(transaction=True)

CHINESE = {"accept-language": "zh-CN,zh;q=0.9"}
QUEUE = "/admin/reviews/review/"
PREFERENCES = "/admin/preferences/"


@pytest.fixture
def booking(invoke: Any, work: Any) -> Interrupt:
    task = invoke("book the Ritz for 2 nights")
    work()
    Interrupt.objects.update(expires_at="2036-01-31T20:30:00Z", created_at="2026-01-31T20:30:00Z")
    return open_review(task)


def page_of(review: Interrupt) -> str:
    return f"{QUEUE}{review.pk}/change/"


def language_of(answer: Any) -> str:
    found = re.search(r'<html lang="([^"]+)"', answer.content.decode())
    assert found is not None
    return found[1]


class TestLanguage:
    def test_the_menu_names_each_language_in_itself(self, desk: Client) -> None:
        content = desk.get("/admin/").content.decode()
        assert '<button name="language" value="zh-hans" lang="zh-hans">简体中文</button>' in content
        assert '<button name="language" value="en" lang="en" aria-current="true">English</button>' in content

    def test_a_choice_is_remembered_for_a_year(self, desk: Client) -> None:
        answer = desk.post("/admin/language/", {"language": "zh-hans", "next": QUEUE})
        assert answer["Location"] == QUEUE
        assert answer.cookies["django_language"]["max-age"] == 365 * 86_400
        assert language_of(desk.get(QUEUE)) == "zh-hans"

    def test_it_can_be_chosen_before_the_login_and_counts_more_than_what_the_browser_says(self) -> None:
        client = Client(headers=CHINESE)
        assert language_of(client.get("/admin/login/")) == "zh-hans"
        client.post("/admin/language/", {"language": "en", "next": "/admin/login/"})
        assert language_of(client.get("/admin/login/")) == "en"

    def test_looking_at_its_address_chooses_nothing(self, desk: Client) -> None:
        assert "django_language" not in desk.get("/admin/language/?language=zh-hans").cookies

    def test_it_leads_to_no_other_site(self, desk: Client) -> None:
        answer = desk.post("/admin/language/", {"language": "zh-hans", "next": "https://elsewhere.example/"})
        assert answer["Location"] == "/"


class TestTheWire:
    """What docs/reference/api.md fixes is English, whatever a client's library says of languages."""

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/agent/invoke", {"user_id": "ann"}),
            ("/agent/invoke", {"user_id": "a b", "query": "x", "multitask_strategy": "no"}),
            ("/agent/resume", {"user_id": "ann", "session_id": "s", "task_id": "t", "response_type": "no"}),
            ("/reviews/x/decide", {"response_type": "accept", "version": 1}),
            ("/nowhere", {}),
        ],
    )
    def test_an_error_is_the_same_in_every_language(self, api: Any, path: str, body: Any) -> None:
        english, chinese = api.post(path, body), api.post(path, body, headers=CHINESE)
        assert english.status_code >= 400
        assert (chinese.status_code, chinese.content) == (english.status_code, english.content)
        assert "Content-Language" not in chinese

    def test_so_is_one_of_deciding(self, reviewer: User, booking: Interrupt) -> None:
        body = {"response_type": "edit", "args": {"nights": "x", "more": 1}, "version": booking.version}
        for changed in ({}, {"version": 9, "response_type": "accept"}, {"response_type": "response"}):
            answer = client_of(reviewer).post(f"/reviews/{booking.pk}/decide", {**body, **changed}, headers=CHINESE)
            assert answer.status_code >= 400
            assert answer.content.isascii()

    def test_it_is_after_a_chinese_page_in_the_same_thread(self, api: Any, desk: Client, booking: Interrupt) -> None:
        assert language_of(desk.get(QUEUE, headers=CHINESE)) == "zh-hans"
        answer = api.post("/agent/resume", {**ids_of(booking.task), "response_type": "no"})
        assert answer.json()["detail"] == "The input is not valid."

    def test_what_is_stored_for_the_model_is_english(self, desk: Client, booking: Interrupt) -> None:
        Interrupt.objects.update(expires_at="2020-01-01T00:00:00Z")
        body = {"response_type": "accept", "version": booking.version, "digest": booking.args_digest}
        content = desk.post(page_of(booking), body, headers=CHINESE).content.decode()
        assert "无人在期限内作出决定" in content
        assert Interrupt.objects.get().answer_message == "nobody decided it in time"

    def test_times_are_in_utc(self, reviewer: User, booking: Interrupt) -> None:
        Preferences.objects.create(user=reviewer, time_zone="Asia/Shanghai")
        client = client_of(reviewer)
        assert client.get(f"/reviews/{booking.pk}").json()["expires_at"] == "2036-01-31T20:30:00Z"


class TestTimeZone:
    def test_the_page_of_preferences_keeps_it(self, desk: Client, reviewer: User) -> None:
        page = desk.post(PREFERENCES, {"time_zone": "Asia/Shanghai"}, follow=True)
        assert Preferences.objects.get(user=reviewer).time_zone == "Asia/Shanghai"
        assert "CST, UTC+0800" in page.content.decode()

    def test_it_can_be_taken_back(self, desk: Client, reviewer: User) -> None:
        Preferences.objects.create(user=reviewer, time_zone="Asia/Shanghai")
        assert "UTC, UTC+0000" in desk.post(PREFERENCES, {"time_zone": ""}, follow=True).content.decode()

    def test_only_what_is_a_time_zone_can_be_chosen(self, desk: Client) -> None:
        assert "errorlist" in desk.post(PREFERENCES, {"time_zone": "Asia/Atlantis"}).content.decode()
        assert not Preferences.objects.exists()
        with pytest.raises(ValidationError):
            timezones.require_known("../../etc/passwd")

    def test_the_review_says_when_it_expires_and_in_which_zone(
        self, desk: Client, reviewer: User, booking: Interrupt
    ) -> None:
        assert "2036-01-31 20:30 UTC" in desk.get(page_of(booking)).content.decode()
        Preferences.objects.create(user=reviewer, time_zone="Asia/Shanghai")
        assert "2036-02-01 04:30 CST" in desk.get(page_of(booking)).content.decode()

    def test_so_does_the_queue_on_pointing(self, desk: Client, reviewer: User, booking: Interrupt) -> None:
        Preferences.objects.create(user=reviewer, time_zone="America/New_York")
        assert "15:30 EST" in desk.get(QUEUE).content.decode()

    def test_it_ends_with_the_request(self, desk: Client, reviewer: User) -> None:
        Preferences.objects.create(user=reviewer, time_zone="Asia/Shanghai")
        assert "(CST)" in desk.get("/admin/").content.decode()
        assert timezone.get_current_timezone_name() == "UTC"

    def test_it_costs_no_query(self, desk: Client, reviewer: User, django_assert_max_num_queries: Any) -> None:
        Preferences.objects.create(user=reviewer, time_zone="Asia/Shanghai")
        with django_assert_max_num_queries(5) as asked:  # session, user with preferences, rights, open reviews, pauses
            desk.get("/admin/password_change/")
        assert not [row["sql"] for row in asked.captured_queries if row["sql"].startswith('SELECT "core_preferences"')]

    def test_one_that_is_gone_from_the_machines_list_is_not_missed(self, desk: Client, reviewer: User) -> None:
        Preferences.objects.create(user=reviewer, time_zone="Old/Place")
        assert "(UTC)" in desk.get("/admin/").content.decode()

    def test_it_is_for_those_who_may_see_the_admin(self, ann: User) -> None:
        client = Client()
        client.force_login(ann)
        assert client.get(PREFERENCES).status_code == 302
        assert client.post(PREFERENCES, {"time_zone": "UTC"}).status_code == 302
        assert not Preferences.objects.exists()


def test_an_error_speaks_the_language_of_the_moment() -> None:
    with translation.override("zh-hans"):
        assert services.AlreadyDecided().detail == "此审核已被决定。"
    assert services.AlreadyDecided().detail == "This review has already been decided."
