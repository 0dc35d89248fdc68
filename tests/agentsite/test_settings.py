"""Settings as production and a newcomer meet them, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PRODUCTION = {"SECRET_KEY": "x9-" * 25 + "abcdefgh1234567890", "ALLOWED_HOSTS": "agents.example.com", "DEBUG": "false"}


FORWARDED = [  # an environment, and how many proxies in front are then believed
    ({"PROXY_COUNT": "2"}, 0),
    ({"BEHIND_PROXY": "true"}, 1),
    ({"BEHIND_PROXY": "true", "PROXY_COUNT": "2"}, 2),
]
# Print what an expression is under each environment. Each is of a fork, which reads the settings for the first time.
ASK_EACH = """
import json, os, sys
import celery, environ, structlog.stdlib, django.core.management
for env in json.loads(sys.argv[1]):
    if os.fork():
        assert os.wait()[1] == 0
        continue
    os.environ.update(env)
    from agentsite import settings
    print(eval(sys.argv[2]), flush=True)
    os._exit(0)
"""


def python(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    own = {"PATH": os.environ["PATH"], "AGENTSITE_DATA": os.environ["AGENTSITE_DATA"], **env}
    return subprocess.run([sys.executable, *args], cwd=ROOT, env=own, capture_output=True, text=True, timeout=60)


def manage(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return python("manage.py", *args, **env)


def test_production_settings_pass_djangos_deployment_checks() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_redis_and_a_required_second_factor_pass_them_too() -> None:
    more = {"REDIS_URL": "redis://127.0.0.1:9/0", "ADMIN_REQUIRE_OTP": "true", "BEHIND_PROXY": "true"}
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION, **more)
    assert done.returncode == 0, done.stderr


def test_forwarded_addresses_are_trusted_only_behind_a_proxy() -> None:
    envs = json.dumps([env for env, _ in FORWARDED])
    done = python("-c", ASK_EACH, envs, "settings.REST_FRAMEWORK['NUM_PROXIES']", DEBUG="true")
    assert done.stdout.split() == [str(proxies) for _, proxies in FORWARDED], done.stderr


def test_a_wrong_broker_rate_and_lease_each_fail_the_check() -> None:
    wrong = {"CELERY_BROKER_URL": "http://:secret@rabbit", "RATE_USER": "lots", "TASK_LEASE_SECONDS": "5"}
    done = manage("check", DEBUG="true", **wrong)
    assert done.returncode == 1
    errors = done.stderr.partition("ERRORS:\n")[2].partition("WARNINGS:\n")[0]  # any of these makes it fail
    assert [error for error in ("agents.E001", "agents.E012", "core.E001") if error not in errors] == []
    assert "secret" not in done.stderr


def test_jobs_go_to_the_broker_and_rates_to_redis() -> None:
    ask = "from agentsite import settings as s; print(s.CELERY_BROKER_URL, s.CACHES['default']['LOCATION'])"
    done = python("-c", ask, DEBUG="true", CELERY_BROKER_URL="amqp://rabbit//", REDIS_URL="redis://redis")
    assert done.stdout.split() == ["amqp://rabbit//", "redis://redis"], done.stderr


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


def test_the_web_process_does_not_load_langchain() -> None:
    code = "import agentsite.wsgi, agentsite.urls, sys; print([m for m in sys.modules if m.startswith('lang')])"
    done = python("-c", code, DEBUG="true")
    assert done.stdout.strip() == "[]", done.stderr


def test_models_and_migrations_agree_and_starting_says_nothing_of_the_lock_out() -> None:
    done = manage("makemigrations", "--check", "--dry-run", DEBUG="true")
    assert done.returncode == 0, done.stdout
    assert "AXES" not in done.stderr
