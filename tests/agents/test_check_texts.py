"""What an operator reads when `manage.py check` finds a setting that can not be."""

from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from agents import checks
from agents import config as agents_config
from core.checks import limits, pooler
from notifications.checks import notices


def told(found: Any) -> list[tuple[str, str]]:
    return [(str(one.id), str(one.msg)) for one in found]


# Times of the worker


@pytest.mark.parametrize(("lease", "heartbeat", "sound"), [(20.0, 10.0, False), (20.1, 10.0, True), (2.0, 0.5, True)])
def test_a_lease_has_to_outlast_two_heartbeats(settings: Any, lease: float, heartbeat: float, sound: bool) -> None:
    settings.TASK_LEASE_SECONDS, settings.TASK_HEARTBEAT_SECONDS = lease, heartbeat
    expected = [("agents.E001", "TASK_LEASE_SECONDS must be more than twice TASK_HEARTBEAT_SECONDS.")]
    assert told(checks.timing()) == ([] if sound else expected)


def test_a_lease_that_is_too_short_says_what_it_would_do(settings: Any) -> None:
    settings.TASK_LEASE_SECONDS = 1.0
    (found,) = checks.timing()
    assert "one late heartbeat ends the lease of a live worker" in str(found.hint)


@pytest.mark.parametrize("name", ["TASK_HEARTBEAT_SECONDS", "TASK_SWEEP_SECONDS", "TASK_REPUBLISH_SECONDS"])
@pytest.mark.parametrize("seconds", [0, -0.5])
def test_no_interval_of_the_worker_may_be_nothing(settings: Any, name: str, seconds: float) -> None:
    setattr(settings, name, seconds)
    ((number, text),) = told(checks.timing())
    assert number == "agents.E002"
    assert name in text


def test_both_faults_of_the_times_are_told_at_once(settings: Any) -> None:
    settings.TASK_LEASE_SECONDS = settings.TASK_HEARTBEAT_SECONDS = 0
    assert [number for number, _ in told(checks.timing())] == ["agents.E001", "agents.E002"]


# Bounds and budgets


@pytest.mark.parametrize("name", checks.AT_LEAST_ONE)
@pytest.mark.parametrize(("value", "sound"), [(-1, False), (0, False), (1, True), (10**9, True)])
def test_a_bound_below_one_is_named_with_its_value(settings: Any, name: str, value: int, sound: bool) -> None:
    setattr(settings, name, value)
    expected = [("agents.E008", f"{name} is {value}, but must be at least 1.")]
    assert told(checks.bounds()) == ([] if sound else expected)


def test_every_bound_that_is_wrong_is_told_and_the_model_s_time_too(settings: Any) -> None:
    for name in checks.AT_LEAST_ONE:
        setattr(settings, name, 0)
    settings.MODEL_TIMEOUT_SECONDS = -1
    assert [number for number, _ in told(checks.bounds())] == ["agents.E008"] * 3 + ["agents.E009"]


@pytest.mark.parametrize("name", ["CONVERSATION_TOKENS", "TASK_TOKENS"])
@pytest.mark.parametrize(("value", "sound"), [(-1, False), (499, False), (500, True)])
def test_a_budget_below_500_tokens_is_named_with_its_value(settings: Any, name: str, value: int, sound: bool) -> None:
    setattr(settings, name, value)
    expected = [("agents.E010", f"{name} is {value}, but must be at least 500.")]
    assert told(checks.budgets()) == ([] if sound else expected)


# Retention


@pytest.mark.parametrize(
    ("name", "zero"),
    [
        ("SESSION_RETENTION_DAYS", "no limit"),
        ("JOB_RETENTION_DAYS", "no limit"),
        ("KEY_RETENTION_DAYS", "no limit"),
        ("CHECKPOINT_RETENTION_DAYS", "none are kept"),
    ],
)
@pytest.mark.parametrize(("days", "sound"), [(-1, False), (0, True), (1, True), (36_500, True), (36_501, False)])
def test_days_to_keep_something_say_what_zero_means(
    settings: Any, name: str, zero: str, days: int, sound: bool
) -> None:
    setattr(settings, name, days)
    expected = [("agents.E006", f"{name} is {days}, but must be from 0 ({zero}) to 36500 days.")]
    assert told(checks.retention()) == ([] if sound else expected)


# Words and paths


@pytest.mark.parametrize("value", ["", "Stand", "stand ", "ask-again", "1"])
def test_another_word_for_decisions_of_former_reviewers_is_told_the_two_there_are(settings: Any, value: str) -> None:
    settings.DECISIONS_OF_FORMER_REVIEWERS = value
    text = f"DECISIONS_OF_FORMER_REVIEWERS is {value!r}, but must be one of stand, ask_again."
    assert told(checks.former_reviewers()) == [("agents.E011", text)]


@pytest.mark.parametrize("value", ["stand", "ask_again"])
def test_each_of_the_two_words_is_sound(settings: Any, value: str) -> None:
    settings.DECISIONS_OF_FORMER_REVIEWERS = value
    assert checks.former_reviewers() == []


@pytest.mark.parametrize(
    ("name", "path", "why"),
    [
        ("REVIEW_DESK", "no.such.Desk", "No module named 'no'"),
        ("REVIEW_DESK", "reviews.desk.Nothing", "does not define"),
        ("REVIEW_DESK", "collections.Counter", "collections.Counter is not an agents.desk.Desk"),
        ("DEFAULT_POLICY", "nodots", "doesn't look like a module path"),
        ("DEFAULT_POLICY", "collections.Counter", "DEFAULT_POLICY must be an agents.policy.BasePolicy"),
        ("DEFAULT_POLICY", "os.getcwd", "os.getcwd is not a policy"),
        ("DEFAULT_POLICY", "agents.policy.BasePolicy", "abstract"),
    ],
)
def test_what_the_settings_plug_in_is_named_with_the_reason(settings: Any, name: str, path: str, why: str) -> None:
    setattr(settings, name, path)
    (found,) = checks.duties()
    assert found.id == "agents.E007"
    assert str(found.msg).startswith(f"{name}: ")
    assert why in str(found.msg)
    assert found.hint == "Correct the dotted path."


@pytest.mark.parametrize("name", ["SWEEPER_DUTIES", "HOUSEKEEPING_DUTIES"])
def test_each_duty_that_is_not_there_is_told_by_itself(settings: Any, name: str) -> None:
    setattr(settings, name, ["no.such.duty", "os.getcwd", "os.no_such_duty"])
    first, second = told(checks.duties())
    assert first == ("agents.E007", f"{name}: No module named 'no'")
    assert "no_such_duty" in second[1]


# Entries of AGENTS


def test_an_agent_that_is_not_there_is_said_by_its_alias() -> None:
    with pytest.raises(agents_config.Misconfigured, match=r"AGENTS has no entry 'nobody'\."):
        agents_config.agent("nobody")


def test_an_entry_without_its_policy_is_said_to_have_none(settings: Any) -> None:
    settings.AGENTS = {"default": {"GRAPH": "x.y", "MODEL": "m"}}
    with pytest.raises(agents_config.Misconfigured, match=r"AGENTS\['default'\] has no POLICY, MEMORY\."):
        agents_config.agent("default")


def test_an_entry_may_leave_out_its_tools_prompt_and_model(settings: Any) -> None:
    settings.AGENTS = {"default": {"GRAPH": "x.y", "POLICY": "x.p", "MEMORY": "x.m"}}
    found = agents_config.agent("default")
    assert (found.tools, found.system_prompt, found.model) == ((), "", "")


def test_each_bad_entry_is_told_and_the_missing_default_too(settings: Any) -> None:
    settings.AGENTS = {
        "one": {"GRAPH": "agents.runtime.graphs.react.build"},
        "two": {**settings.AGENTS["default"], "GRAPH": "no.such.graph"},
    }
    found = told(checks.agents())
    assert [number for number, _ in found] == ["agents.E003", "agents.E004", "agents.E005"]
    assert found[0][1] == "AGENTS['one'] has no MODEL, POLICY, MEMORY."
    assert found[1][1].startswith("AGENTS['two']: ")
    assert found[2][1] == 'AGENTS has no "default".'


# Limits


@pytest.mark.parametrize("name", ["RATE_PRINCIPAL", "RATE_SERVICE", "RATE_USER", "RATE_ANONYMOUS"])
def test_a_rate_that_is_none_is_shown_with_its_name_and_an_example(settings: Any, name: str) -> None:
    setattr(settings, name, "10 per minute")
    (found,) = limits()
    assert (found.id, found.msg) == ("core.E001", f"{name} is '10 per minute', which is not a valid rate.")
    assert "600/min" in str(found.hint)
    assert "An empty value turns the limit off." in str(found.hint)


@pytest.mark.parametrize("name", ["TASKS_IN_FLIGHT_PER_USER", "TASKS_IN_FLIGHT_PER_PRINCIPAL"])
def test_a_number_of_tasks_below_zero_says_how_to_turn_it_off(settings: Any, name: str) -> None:
    setattr(settings, name, -1)
    (found,) = limits()
    assert (found.id, found.msg, found.hint) == ("core.E002", f"{name} is below 0.", "Use 0 to turn the limit off.")


@pytest.mark.parametrize(("seconds", "shown"), [(0.999, "0.999"), (-1, "-1"), (0.5, "0.5"), (1e-9, "1e-09")])
def test_too_short_a_wait_for_the_database_says_what_would_fail(settings: Any, seconds: float, shown: str) -> None:
    settings.DATABASE_ANSWER_SECONDS = seconds
    (found,) = limits()
    assert (found.id, found.msg) == ("core.E003", f"DATABASE_ANSWER_SECONDS is {shown}.")
    assert "503" in str(found.hint)


def test_all_limits_that_are_wrong_are_told_in_one_go(settings: Any) -> None:
    settings.RATE_PRINCIPAL = settings.RATE_USER = "x"
    settings.TASKS_IN_FLIGHT_PER_USER, settings.DATABASE_ANSWER_SECONDS = -1, 0.1
    assert [number for number, _ in told(limits())] == ["core.E001", "core.E001", "core.E002", "core.E003"]


# Notices


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("NOTICE_TRIES", 1, 20),
        ("NOTICE_RETRY_SECONDS", 0.1, 86_400),
        ("NOTICE_TIMEOUT_SECONDS", 0.1, 60),
        ("NOTICE_NEAR_EXPIRY_SECONDS", 0, 31_536_000),
        ("NOTICE_NEAR_EXPIRY_SHARE", 0, 1),
        ("NOTICE_RETENTION_DAYS", 0, 36_500),
    ],
)
def test_a_number_for_notices_is_taken_from_its_lowest_to_its_highest(
    settings: Any, name: str, low: float, high: float
) -> None:
    for sound in (low, high):
        setattr(settings, name, sound)
        assert notices() == []
    for wrong in (low - 0.05, high + 0.05, float("nan"), float("inf")):
        setattr(settings, name, wrong)
        (found,) = notices()
        assert (found.id, found.msg) == ("notices.E003", f"{name} is {wrong:g}.")
        assert found.hint == f"Use a value from {low:g} to {high:g}."


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "//agents.example.com",
        "https:/agents.example.com",
        "https://x/#top",
        "http://[::1",
        "https://x:70000",
    ],
)
def test_an_address_of_the_site_that_is_none_is_shown(settings: Any, url: str) -> None:
    settings.PUBLIC_URL = url
    assert told(notices()) == [("notices.E001", f"PUBLIC_URL is {url!r}, which is not a valid address.")]


@pytest.mark.parametrize("url", ["http://localhost:8000", "https://x", "https://x/base", "http://[::1]:8000"])
def test_an_address_with_a_port_or_a_path_is_sound(settings: Any, url: str) -> None:
    settings.PUBLIC_URL = url
    assert notices() == []


@pytest.mark.parametrize("text", ["", "inside", "10.0.0.0/33", "10.0.0", "fd00::/129", "10.0.0.0/8/8", "*"])
def test_a_network_that_is_none_is_shown(settings: Any, text: str) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = [text]
    expected = f"WEBHOOK_ALLOW_NETWORKS contains {text!r}, which is not a valid network."
    assert told(notices()) == [("notices.E002", expected)]


@pytest.mark.parametrize("text", [" 10.0.0.0/8 ", "10.1.2.3", "10.1.2.3/8", "fd00:1::/64", "::1", "0.0.0.0/0"])
def test_a_network_may_have_blanks_around_it_and_be_one_address(settings: Any, text: str) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = [text]
    assert notices() == []


def test_the_command_stops_with_what_the_checks_found(settings: Any) -> None:
    settings.RATE_USER, settings.NOTICE_TRIES, settings.TASK_TOKENS = "often", 0, 5
    with pytest.raises(SystemCheckError) as stopped:
        call_command("check")
    for text in ("RATE_USER is 'often'", "NOTICE_TRIES is 0.", "TASK_TOKENS is 5, but must be at least 500."):
        assert text in str(stopped.value)


# Broker


@pytest.mark.parametrize(
    "url",
    [
        "filesystem://",
        "amqp://user:secret@rabbit:5672/vhost",
        "amqps://rabbit//;amqps://other//",
        "rediss://:secret@redis:6379/0",
        "sentinel://one:26379;sentinel://two:26379",
    ],
)
def test_a_broker_that_can_be_used_passes(settings: Any, url: str) -> None:
    settings.CELERY_BROKER_URL = url
    assert checks.broker() == []


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("http://rabbit:5672", "http"),
        ("rabbit:5672", "no scheme"),
        ("redis+cluster://:secret@redis:6379", "redis+cluster"),
        ("amqp://rabbit//;redis://:secret@redis", "amqp, redis"),
    ],
)
def test_one_that_can_not_is_named_without_its_password(settings: Any, url: str, given: str) -> None:
    settings.CELERY_BROKER_URL = url
    ((number, text),) = told(checks.broker())
    assert (number, text.rpartition(": ")[2]) == ("agents.E012", f"{given}.")
    assert "secret" not in text


def test_a_queue_of_another_kind_is_refused(settings: Any) -> None:
    settings.CELERY_TASK_DEFAULT_QUEUE_TYPE = "stream"
    expected = "RABBITMQ_QUEUE_TYPE is 'stream', but must be one of classic, quorum."
    assert told(checks.broker()) == [("agents.E013", expected)]


# Pooler


@pytest.mark.parametrize(("value", "sound"), [("", True), ("transaction", True), ("session", False)])
def test_a_pooler_is_none_or_one_that_shares_by_transaction(settings: Any, value: str, sound: bool) -> None:
    settings.DATABASE_POOLER = value
    expected = [("core.E004", "DATABASE_POOLER is 'session', but can only be transaction.")]
    assert told(pooler()) == ([] if sound else expected)
