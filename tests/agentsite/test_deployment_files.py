"""The image, compose.yaml and the units, held against the code they start and the page that explains them."""

import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
UNITS = {path.name: re.sub(r"\\\n\s*", "", path.read_text()) for path in (ROOT / "deploy" / "systemd").glob("*.*")}
NGINX = (ROOT / "deploy" / "nginx" / "agentsite.conf").read_text()
DEPLOY = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
# Read by others than our settings: Python, gunicorn, and compose.yaml itself.
FOREIGN = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "WEB_CONCURRENCY"}
FOREIGN |= {"AGENTSITE_IMAGE", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "WEB_ADDRESS", "WORKER_REPLICAS"}


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, re.M)


def names_in(text: str) -> set[str]:
    """The variables that an environment file sets or, behind a #, proposes."""
    return set(re.findall(r"^#?([A-Z_]+)=", text, re.M))


def unit(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNITS[name], re.M)


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


WEB = {
    "Dockerfile": yaml.safe_load(instructions("CMD")[-1]),
    "compose.yaml": [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in SERVICES["web"]["command"]],
    "systemd": shlex.split(unit("agentsite-web.service", "ExecStart")[0].replace("${WEB_THREADS}", "8")),
}
WORKER = {
    "compose.yaml": SERVICES["worker"]["command"],
    "systemd": shlex.split(unit("agentsite-worker@.service", "ExecStart")[0]),
}


def read_by_settings() -> set[str]:
    source = "".join(path.read_text() for path in (ROOT / "agentsite" / "settings").glob("*.py"))
    return set(re.findall(r"""env\.\w+\(\s*"([A-Z_]+)""", source))


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    sources = [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert set(sources) == set(allowed)
    assert all((ROOT / source).exists() for source in sources)


def test_every_room_of_the_code_is_in_the_image() -> None:
    rooms = {name.split(".")[0] for name in settings.INSTALLED_APPS if (ROOT / name.split(".")[0]).is_dir()}
    assert rooms <= {line.split()[-1] for line in instructions("COPY")}


def test_nothing_secret_or_local_reaches_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    allowed = [line[1:] for line in lines if line.startswith("!")]
    assert "*" in lines
    assert ".env" in (ROOT / ".gitignore").read_text().split()
    assert not [name for name in (".env", ".git", "var", ".venv") if any(fnmatch(name, mark) for mark in allowed)]


def test_the_image_does_not_run_as_root() -> None:
    uid, _, gid = instructions("USER")[-1].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert f"--uid {uid} " in DOCKERFILE


def test_the_last_stage_has_no_build_tools() -> None:
    assert not re.findall(r"apt-get|pip (--|install)|gcc|curl", DOCKERFILE.rpartition("\nFROM ")[2])


def test_the_image_is_stopped_by_the_signal_that_drains() -> None:
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert instructions("HEALTHCHECK")[0].endswith('CMD ["python", "-P", "agentsite/server/healthcheck.py", "web"]')


@pytest.mark.parametrize("place", ["compose.yaml", "systemd"])
def test_the_web_server_is_the_same_everywhere(place: str) -> None:
    words = [word for word in WEB[place] if ":8000" not in word]
    assert [Path(words[0]).name, *words[1:]] == [word for word in WEB["Dockerfile"] if ":8000" not in word]


def test_the_worker_is_the_same_everywhere() -> None:
    program, *words = WORKER["systemd"]
    name = words.index("-n")
    assert [Path(program).name, *words[:name], *words[name + 2 :]] == WORKER["compose.yaml"]


@pytest.mark.parametrize("command", [WEB["Dockerfile"], WORKER["compose.yaml"], SERVICES["migrate"]["command"]])
def test_the_commands_are_the_documented_ones(command: list[str]) -> None:
    assert shlex.join(command) in re.sub(r" \\\n\s*", " ", DEPLOY)


def test_gunicorn_takes_these_options() -> None:
    command = [sys.executable, "-m", *WEB["Dockerfile"], "--check-config"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [".env.example", "deploy/systemd/agentsite.env.example"])
def test_an_example_names_only_what_is_read(name: str) -> None:
    assert names_in((ROOT / name).read_text()) <= read_by_settings() | FOREIGN


def test_what_compose_and_units_set_is_read() -> None:
    found = {word.split("=")[0] for name in UNITS for line in unit(name, "Environment") for word in line.split()}
    found |= set(COMPOSE["x-app"]["environment"])
    found |= {word.split("=")[0] for line in instructions("ENV") for word in line.split()}
    assert found <= read_by_settings() | FOREIGN


def test_what_compose_asks_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text()))
    assert asked - {"AGENTSITE_IMAGE"} <= names_in((ROOT / ".env.example").read_text())


def test_the_example_holds_no_secret() -> None:
    secrets = re.findall(r"^(?:\w+_KEY|\w+_PASSWORD)=(.*)$", (ROOT / ".env.example").read_text(), re.M)
    assert len(secrets) == 4
    assert not any(secrets)


@pytest.mark.parametrize("name", ["web", "worker"])
def test_the_service_starts_when_the_database_is_migrated(name: str) -> None:
    assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES[name]["depends_on"]["postgres"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_database_and_broker_can_not_be_reached_from_outside(name: str) -> None:
    assert "ports" not in SERVICES[name]
    assert SERVICES[name]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", ["web", "worker", "migrate"])
def test_our_containers_are_locked_down(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"]


def test_a_web_server_has_the_time_to_finish_its_requests() -> None:
    graceful = int(option(WEB["Dockerfile"], "--graceful-timeout"))
    assert seconds(SERVICES["web"]["stop_grace_period"]) > graceful
    assert seconds(unit("agentsite-web.service", "TimeoutStopSec")[0]) > graceful


def test_a_worker_has_the_time_for_the_models_answer() -> None:
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > 2 * settings.MODEL_TIMEOUT_SECONDS
    assert seconds(unit("agentsite-worker@.service", "TimeoutStopSec")[0]) > 2 * settings.MODEL_TIMEOUT_SECONDS


@pytest.mark.parametrize("name", ["agentsite-web.service", "agentsite-worker@.service"])
def test_a_unit_signals_the_main_process_and_is_locked_down(name: str) -> None:
    assert unit(name, "KillMode") == ["mixed"]
    assert unit(name, "User") == ["agentsite"]
    assert unit(name, "NoNewPrivileges") == ["true"]
    assert unit(name, "ProtectSystem") == ["strict"]
    assert unit(name, "PartOf") == ["agentsite.target"]


def test_the_proxy_has_the_services_limit_and_says_that_it_is_https() -> None:
    size = re.search(r"client_max_body_size (\d+)m;", NGINX)
    assert size is not None
    assert int(size[1]) * 1024 * 1024 == settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in NGINX


NO_PAGES = ("README.md", "api-intro.md")  # the index itself; what api.md is made from


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = [
        str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md") if path.name not in NO_PAGES
    ]
    assert not [page for page in pages if f"({page})" not in index]
