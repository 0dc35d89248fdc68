"""What else knows of notices: settings, figures, and what is known of one person."""

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import call_command
from prometheus_client import generate_latest

from agents.maintenance import sweeper
from agents.observability import metrics
from agentsite.api.metrics import _registry
from notifications import outbox
from notifications.delivery import deliver_due
from notifications.delivery_results import pause
from notifications.models import Delivery, Endpoint
from tests.support.receiver import Receiver, make_due, subscribed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        *(
            ("PUBLIC_URL", value, "E001")
            for value in ("agents.example.com", "ftp://x", "https://x/?a=b", "https://x:y")
        ),
        ("WEBHOOK_ALLOW_NETWORKS", ["10.0.0.0/8", "inside"], "E002"),
        *(("NOTICE_TRIES", value, "E003") for value in (0, 21)),
        *(("NOTICE_TIMEOUT_SECONDS", value, "E003") for value in (0, 61)),
        *(("NOTICE_RETRY_SECONDS", 0, "E003"), ("NOTICE_NEAR_EXPIRY_SHARE", 1.1, "E003")),
        *(("NOTICE_NEAR_EXPIRY_SECONDS", -1, "E003"), ("NOTICE_RETENTION_DAYS", -1, "E003")),
    ],
)
def test_an_impossible_setting_fails_the_checks_with_a_hint(settings: Any, name: str, value: Any, error: str) -> None:
    setattr(settings, name, value)
    found = [one for one in run_checks() if one.id == f"notices.{error}"]
    assert len(found) == 1
    assert name in found[0].msg
    assert found[0].hint


@pytest.mark.parametrize("name", ["SWEEPER_DUTIES", "HOUSEKEEPING_DUTIES"])
def test_so_does_a_duty_that_is_not_there(settings: Any, name: str) -> None:
    setattr(settings, name, ["notifications.nothing"])
    found = run_checks(tags=["agents"], include_deployment_checks=True)
    assert [one.id for one in found if name in one.msg] == ["agents.E007"]


def test_a_duty_that_is_not_there_does_not_keep_the_sweeper_from_the_others(settings: Any) -> None:
    settings.SWEEPER_DUTIES = ["notifications.nothing", "notifications.outbox.near_expiry"]
    assert set(sweeper.sweep()) == {duty.__name__ for duty in sweeper.DUTIES} | {"near_expiry"}


def test_eight_tries_are_made_within_about_a_day() -> None:
    hours = sum(pause(tries, 0) for tries in range(1, 8)) / 3600
    assert 17 < hours < 29


def test_tries_are_counted_by_channel_and_outcome(receiver: Receiver, endpoint: Endpoint, rita: User, ask: Any) -> None:
    metrics._process.take()  # what other tests have counted
    receiver.answers = [(500, {})]
    ask()
    deliver_due()
    make_due()
    deliver_due()
    metrics.flush()
    figures = generate_latest(_registry).decode()
    for channel, outcome in (("webhook", "retried"), ("webhook", "sent"), ("mail", "sent")):
        assert f'agentsite_notices_total{{channel="{channel}",outcome="{outcome}"}} 1.0' in figures


# One person's data


def test_erasing_a_user_leaves_nothing_of_them_in_deliveries(
    endpoint: Endpoint, rita: User, ask: Any, bob: User
) -> None:
    ask()
    ask(user="bob")
    deliver_due()
    call_command("erase_user", "ann", "--yes", stdout=StringIO())
    assert Delivery.objects.count() == 2
    assert not [one for one in Delivery.objects.all() if "ann" in one.body]


def test_with_the_account_goes_what_it_was_told(rita: User, ask: Any) -> None:
    ask()
    call_command("erase_user", "rita", "--yes", "--account", stdout=StringIO())
    assert not Delivery.objects.exists()


def test_the_export_has_the_notices_of_the_users_tasks_and_their_subscription(
    endpoint: Endpoint, ann: User, ask: Any
) -> None:
    subscribed(ann, "review.decided")
    ask()
    output = StringIO()
    call_command("export_user", "ann", stdout=output)
    found = json.loads(output.getvalue())
    assert [one["events"] for one in found["email_subscriptions"]] == [["review.decided"]]
    assert [one["event"] for one in found["sessions"][0]["tasks"][0]["deliveries"]] == ["review.new"]
    assert endpoint.secret not in output.getvalue()


def test_a_test_says_nothing_of_anybody(endpoint: Endpoint) -> None:
    assert outbox.send_test(endpoint).data == {"url": "https://agents.example.com/admin/"}
