"""What `manage.py` commands say when they are asked for something that can not be, and that nothing changes then."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from agents.models import Interrupt, Pause, Session
from agentsite.accounts import create_key
from core.models import ApiKey
from memory import services
from memory.models import Memory
from reviews.models import AuditEntry
from tests.support.helpers import open_review

pytestmark = pytest.mark.django_db(transaction=True)


def run(command: str, *arguments: str) -> str:
    output = StringIO()
    call_command(command, *arguments, stdout=output, stderr=output)
    return output.getvalue()


def refused(command: str, *arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        run(command, *arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def old() -> Session:
    made: Session = Session.objects.create(
        user_id="ann", session_id="s1", created_at=timezone.now() - timedelta(days=400)
    )
    return made


# Sessions and keys


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Error: the following arguments are required: --older-than"),
        (["--older-than=30"], "--older-than '30' is not a valid duration. Use a number followed by m, h, d or w"),
        (["--older-than=30days"], "--older-than '30days' is not a valid duration."),
        (["--older-than=999999w"], "--older-than "),
        (["--older-than=1d", "--status=running"], "--status 'running': use one of idle, interrupted,"),
        (["--older-than=1d", "--status=Completed"], "--status 'Completed': use one of idle, interrupted,"),
        (["--older-than=1d", "--status=interrupted"], "add --include-interrupted."),
        (["--older-than=1d", "--batch-size=0"], "--batch-size 0: use a number from 1 to 5000."),
        (["--older-than=1d", "--batch-size=-1"], "--batch-size -1: use a number from 1 to 5000."),
        (["--older-than=1d", "--batch-size=many"], "Error: argument --batch-size: invalid int value: 'many'"),
        (["--older-than=1d", "--user=.."], "--user '..': IDs can contain letters, digits and"),
        (["--older-than=1d", f"--user={'x' * 129}"], "IDs must have 1 to 128 characters."),
    ],
)
def test_cleanup_sessions_names_the_option_and_deletes_nothing(old: Session, arguments: list[str], told: str) -> None:
    assert told in refused("cleanup_sessions", *arguments)
    assert Session.objects.count() == 1


def test_a_dry_run_with_a_bad_option_is_refused_as_well(old: Session) -> None:
    assert "--batch-size" in refused("cleanup_sessions", "--older-than=1d", "--dry-run", "--batch-size=0")


@pytest.mark.parametrize("age", ["1m", "9999w"])
def test_the_shortest_and_a_very_long_age_are_taken(old: Session, age: str) -> None:
    deleted = int(age == "1m")
    assert run("cleanup_sessions", f"--older-than={age}") == f"Deleted {deleted} session(s).\n"


@pytest.mark.parametrize("age", ["", "0d", "1d1h", "9 d", "٩d", "999999w"])
def test_cleanup_keys_names_the_age_and_deletes_nothing(ann: User, age: str) -> None:
    ApiKey.objects.create_key(name="k", user=ann, expiry_date=timezone.now() - timedelta(days=999))
    assert refused("cleanup_keys", f"--older-than={age}").startswith("--older-than ")
    assert ApiKey.objects.count() == 1


# Users


@pytest.mark.parametrize("command", ["export_user", "erase_user"])
@pytest.mark.parametrize("user_id", ["", ".", "..", "two words", "a/b", "a\x00", "x" * 129])
def test_what_can_be_no_user_id_is_shown_and_nothing_is_touched(command: str, user_id: str, tmp_path: Path) -> None:
    services.add("ann", "likes tea", source=Memory.Source.API, trusted=True)
    more = ["--yes"] if command == "erase_user" else [f"--output={tmp_path / 'x.json'}"]
    assert refused(command, user_id, *more).startswith(f"{user_id!r} can't be a user_id: IDs ")
    assert Memory.objects.count() == 1
    assert list(tmp_path.glob("*.json")) == []


@pytest.mark.parametrize(
    ("path", "why"),
    [("no/such/folder/x.json", "No such file or directory"), (".", "File exists"), ("is/x", "Not a dir")],
)
def test_an_export_to_where_no_file_can_be_says_why(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "is").write_text("a file")
    told = refused("export_user", "ann", f"--output={tmp_path / path}")
    assert told.startswith(f"--output {tmp_path / path}: {why}")


def test_an_export_does_not_write_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert "File exists" in refused("export_user", "ann", f"--output={tmp_path / 'link'}")
    assert not (tmp_path / "target").exists()


def test_a_user_nobody_knows_has_an_empty_export_and_can_be_erased() -> None:
    found = json.loads(run("export_user", "nobody"))
    assert found.pop("user_id") == "nobody"
    assert not any(found.values())
    assert run("erase_user", "nobody", "--yes", "--account").startswith("Erased 'nobody': sessions 0")


def test_the_wide_form_of_an_id_is_another_user_and_the_composed_one_is_not() -> None:
    services.add("José", "likes tea", source=Memory.Source.API, trusted=True)
    assert "memories 0" in run("erase_user", "Ｊosé", "--dry-run")
    assert "memories 1" in run("erase_user", "Jose\N{COMBINING ACUTE ACCENT}", "--dry-run")


def test_an_inactive_account_gets_no_key_though_create_is_given(ann: User) -> None:
    User.objects.update(is_active=False)
    assert refused("create_api_key", "ann", "--create").startswith("The user 'ann' is not active")
    assert not ApiKey.objects.exists()


def test_a_key_that_is_refused_makes_no_user_and_no_service() -> None:
    for more in (["--expires=0d"], ["--expires=999999w"], ["--name="], [f"--name={'x' * 51}"]):
        refused("create_api_key", "bot", "--create", "--service", *more)
    assert not User.objects.filter(username="bot").exists()


def test_a_key_beyond_the_calendar_says_that_it_is_too_far() -> None:
    told = refused("create_api_key", "bot", "--create", "--expires=999999w")
    assert told == "--expires '999999w' is not a valid duration: the date is too far in the future."


def test_a_name_of_just_the_longest_length_is_taken(ann: User) -> None:
    run("create_api_key", "ann", f"--name={'x' * 50}")
    assert ApiKey.objects.get().name == "x" * 50


def test_a_second_factor_for_nobody_makes_none() -> None:
    assert refused("create_otp_device", "nobody", "--replace") == "There is no user 'nobody'."
    assert not TOTPDevice.objects.exists()


def test_keys_of_a_user_outlive_the_erasing_of_what_is_theirs(ann: User) -> None:
    create_key(ann, "laptop")
    run("erase_user", "ann", "--yes")
    assert ApiKey.objects.count() == 1


# Reviews, pauses and the log


def test_a_dry_run_of_the_expiry_counts_and_closes_nothing(invoke: Any, work: Any) -> None:
    task = invoke("book the Ritz for 2 nights")
    work()
    assert run("expire_reviews", "--dry-run") == "Would close 0 review(s).\n"
    Interrupt.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert run("expire_reviews", "--dry-run") == "Would close 1 review(s).\n"
    assert open_review(task).status == "pending"
    assert run("expire_reviews") == "Closed 1 review(s).\n"
    assert run("expire_reviews") == "Closed 0 review(s).\n"
    assert Interrupt.objects.get().status == "expired"


@pytest.mark.parametrize("since", ["31.01.2026", "2026-13-01", "2026-01-32", "2026-01-31T25:00", "now", "١"])
def test_a_log_since_no_date_is_refused_with_an_example(since: str) -> None:
    told = refused("export_audit", f"--since={since}")
    assert told == f"--since {since!r} is not a valid date or time. Use a value such as 2026-01-31."


@pytest.mark.parametrize(
    "since", ["2026-01-31", "2026-01-31T10:00", "2026-01-31T10:00:00+02:00", "20260131", "2026-W05"]
)
def test_each_form_of_iso_8601_is_a_date(since: str) -> None:
    run("pause", "--reason", "an incident")
    assert len(run("export_audit", f"--since={since}", "--format=jsonl").splitlines()) == 1


@pytest.mark.parametrize("form", ["xml", "CSV", ""])
def test_a_log_in_another_format_is_refused(form: str) -> None:
    assert "argument --format: invalid choice" in refused("export_audit", f"--format={form}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--reason", "x" * 10_000], "reason: At most"),
        (["--reason", "a\x00b"], "reason: The text contains a character that can't be stored."),
        (["--user", "two words", "--reason", "x"], "value: IDs can contain"),
        (["--user", "", "--reason", "x"], "value: Enter a name."),
        (["--agent", "", "--reason", "x"], "value: Enter a name."),
        (["--tool", "x" * 201, "--reason", "x"], "value: At most 200 characters."),
        (["--tool", "\ud800", "--reason", "x"], "value: The text contains a character that can't be stored."),
        (["--agent", "nobody"], "value: There is no such agent. Available agents: default.; reason: Enter a reason."),
    ],
)
def test_a_pause_that_can_not_be_names_each_fault_and_holds_nothing(arguments: list[str], told: str) -> None:
    assert told in refused("pause", *arguments)
    assert not Pause.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "everything is not paused."),
        (["--tool", "multiply"], "tool multiply is not paused."),
        (["--agent", "default"], "agent default is not paused."),
        (["--user", "Ann"], "user Ann is not paused."),
    ],
)
def test_lifting_what_is_not_paused_lifts_nothing_else(arguments: list[str], told: str) -> None:
    run("pause", "--user", "ann", "--reason", "x")
    assert refused("resume", *arguments).startswith(told)
    assert "user ann" in run("pause", "--list")


def test_a_pause_is_listed_in_one_line_whatever_its_reason() -> None:
    run("pause", "--reason", "first\nsecond\u202e\tthird")
    (line,) = run("pause", "--list").splitlines()
    assert line.endswith("first second\\u{202e} third")
