"""The dotted paths of earlier releases, which settings and code of others still name."""

import importlib
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.utils.module_loading import import_string

from agentsite.server import healthcheck
from core.deprecation.former_names import FORMER

ROOT = Path(__file__).parent.parent.parent
DOCUMENTED = {  # what the docs of the earlier release named
    "agents.terms.Declaration": "agents.policy.Declaration",
    "agents.terms.Policy": "agents.policy.Policy",
    "agents.context.current_call": "agents.tool_context.current_call",
    "agents.graphs.react.build": "agents.runtime.graphs.react.build",
    "agents.graphs.gate.Gate": "agents.runtime.middleware.tool_gate.Gate",
    "agents.graphs.model_calls.ModelCalls": "agents.runtime.middleware.model_calls.ModelCalls",
    "agents.registry.Agent": "agents.runtime.registry.Agent",
    "agents.run.Run": "agents.runtime.run_context.Run",
    "agents.compatible.chat.compatible": "agents.runtime.endpoints.chat.compatible",
    "agents.checkpoints.create_tables": "agents.checkpoints.fenced_saver.create_tables",
    "agentsite.web_worker.Worker": "agentsite.server.gunicorn_worker.Worker",
    "agentsite.core.errors.Conflict": "core.errors.Conflict",
    "agentsite.core.backends.OneQueryBackend": "core.auth.backends.OneQueryBackend",
    "agentsite.core.cache.TolerantRedisCache": "core.db.cache.TolerantRedisCache",
    "agentsite.notices.outbox.near_expiry": "notifications.outbox.near_expiry",
    "agentsite.notices.couriers.deliver_notices": "notifications.delivery_threads.deliver_notices",
    "reviews.policy.assess": "reviews.policy.engine.assess",
    "reviews.policy.Match": "reviews.policy.engine.Match",
    "reviews.services.decide": "reviews.decisions.services.decide",
    "reviews.rules.allow_always": "reviews.policy.rules.allow_always",
    "reviews.audit.exported": "reviews.audit.log.exported",
}


def fresh(former: str) -> Any:
    """Import a former name as if for the first time in this process."""
    for name in [name for name in sys.modules if name in FORMER]:
        del sys.modules[name]
    return importlib.import_module(former)


@pytest.mark.parametrize("former", DOCUMENTED)
def test_what_was_documented_is_still_found(former: str) -> None:
    assert import_string(former) is import_string(DOCUMENTED[former])


@pytest.mark.parametrize("former", FORMER)
def test_each_module_leads_to_one_that_there_is(former: str) -> None:
    assert find_spec(FORMER[former]) is not None
    assert not list(ROOT.glob(f"{former.replace('.', '/')}.py"))


def test_it_says_the_new_name_where_operators_look(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.warns(DeprecationWarning, match="agents.terms is called agents.policy now"):
        fresh("agents.terms")
    assert "agents.terms is called agents.policy now" in caplog.text


@pytest.mark.parametrize(
    "former", ["reviews.policy.assess", "reviews.audit.exported", "agents.checkpoints.create_tables"]
)
def test_so_does_a_package_that_was_a_module(former: str, caplog: pytest.LogCaptureFixture) -> None:
    package = importlib.reload(importlib.import_module(former.rpartition(".")[0]))
    with pytest.warns(DeprecationWarning, match=f"{former} is called {DOCUMENTED[former]} now"):
        import_string(former)
    assert caplog.text.count(f"{former} is called") == 1
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        package.nothing


def test_a_star_import_takes_what_is_public() -> None:
    taken: dict[str, Any] = {}
    exec("from agents.terms import *", taken)
    assert {"Declaration", "Terms", "declare"} <= taken.keys()


def test_a_name_that_never_was_is_an_error_as_ever() -> None:
    with pytest.raises(ImportError, match="nothing"):
        import_string("agents.terms.nothing")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("agents.nothing")


def test_no_process_of_ours_uses_a_former_name() -> None:
    code = (
        "import sys, agentsite.urls, agents.worker.jobs; from agents.runtime import registry; "
        "registry.graph('default'); "
        "from core.deprecation import FORMER; print(sorted(FORMER.keys() & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:agents", "manage.py", "shell", "--no-imports", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip().splitlines()[-1] in ("[]", "['agentsite.core', 'agentsite.core.backends']"), done.stderr


def test_the_former_path_of_the_health_check_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["healthcheck.py", "neither"])
    with pytest.raises(SystemExit) as former:
        runpy.run_path(str(Path(healthcheck.__file__).parent.parent / "healthcheck.py"), run_name="__main__")
    with pytest.raises(SystemExit) as present:
        runpy.run_path(healthcheck.__file__, run_name="__main__")
    assert former.value.code == present.value.code
