"""Settings as production and a newcomer meet them, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PRODUCTION = {"SECRET_KEY": "x9-" * 25 + "abcdefgh1234567890", "ALLOWED_HOSTS": "agents.example.com", "DEBUG": "false"}


def manage(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    own = {"PATH": os.environ["PATH"], "AGENTSITE_DATA": os.environ["AGENTSITE_DATA"], **env}
    command = [sys.executable, "manage.py", *args]
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=60)


def test_production_settings_pass_djangos_deployment_checks() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_redis_and_a_required_second_factor_pass_them_too() -> None:
    more = {"REDIS_URL": "redis://127.0.0.1:9/0", "ADMIN_REQUIRE_OTP": "true", "BEHIND_PROXY": "true"}
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION, **more)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("env", "proxies"),
    [
        ({"PROXY_COUNT": "2"}, "0"),
        ({"BEHIND_PROXY": "true"}, "1"),
        ({"BEHIND_PROXY": "true", "PROXY_COUNT": "2"}, "2"),
    ],
)
def test_forwarded_addresses_are_trusted_only_behind_a_proxy(env: dict[str, str], proxies: str) -> None:
    ask = "from agentsite.settings import REST_FRAMEWORK; print(REST_FRAMEWORK['NUM_PROXIES'])"
    own = {"PATH": os.environ["PATH"], "AGENTSITE_DATA": os.environ["AGENTSITE_DATA"], "DEBUG": "true", **env}
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, env=own, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == proxies, done.stderr


def test_a_broker_that_is_none_fails_the_check() -> None:
    done = manage("check", DEBUG="true", CELERY_BROKER_URL="http://:secret@rabbit")
    assert done.returncode == 1
    assert "agents.E012" in done.stderr
    assert "secret" not in done.stderr


def test_jobs_go_to_the_broker_and_rates_to_redis() -> None:
    ask = "from agentsite import settings as s; print(s.CELERY_BROKER_URL, s.CACHES['default']['LOCATION'])"
    env = {"DEBUG": "true", "CELERY_BROKER_URL": "amqp://rabbit//", "REDIS_URL": "redis://redis"}
    own = {"PATH": os.environ["PATH"], "AGENTSITE_DATA": os.environ["AGENTSITE_DATA"], **env}
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, env=own, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["amqp://rabbit//", "redis://redis"], done.stderr


def test_a_rate_that_is_none_fails_the_check() -> None:
    done = manage("check", DEBUG="true", RATE_USER="lots")
    assert done.returncode == 1
    assert "core.E001" in done.stderr


def test_starting_says_nothing_of_the_lock_out() -> None:
    assert "AXES" not in manage("check", DEBUG="true").stderr


def test_without_a_secret_key_it_refuses_to_start_and_says_so_in_one_line() -> None:
    done = manage("check")
    assert done.returncode == 1
    assert done.stderr.startswith("Agentsite is not configured: Set SECRET_KEY")
    assert done.stderr.count("\n") == 1


def test_an_unwritable_data_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = manage("check", DEBUG="true", AGENTSITE_DATA=str(tmp_path / "file" / "var"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "AGENTSITE_DATA" in done.stderr


def test_a_lease_that_is_too_short_fails_the_check() -> None:
    done = manage("check", DEBUG="true", TASK_LEASE_SECONDS="5")
    assert done.returncode == 1
    assert "agents.E001" in done.stderr


def test_the_web_process_does_not_load_langchain() -> None:
    code = "import agentsite.wsgi, agentsite.urls, sys; print([m for m in sys.modules if m.startswith('lang')])"
    env = {"PATH": os.environ["PATH"], "AGENTSITE_DATA": os.environ["AGENTSITE_DATA"], "DEBUG": "true"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_models_and_migrations_agree() -> None:
    assert manage("makemigrations", "--check", "--dry-run", DEBUG="true").returncode == 0
