"""The dotted paths of earlier releases, which settings and code of others still name."""

import runpy
import sys
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

from agentsite.server import healthcheck

FORMER = {
    "agents.terms.Declaration": "agents.policy.Declaration",
    "agents.context.current_call": "agents.tool_context.current_call",
    "agents.graphs.react.build": "agents.runtime.graphs.react.build",
    "agents.graphs.gate.Gate": "agents.runtime.middleware.tool_gate.Gate",
    "agents.compatible.chat.compatible": "agents.runtime.endpoints.chat.compatible",
    "agentsite.web_worker.Worker": "agentsite.server.gunicorn_worker.Worker",
    "reviews.policy.assess": "reviews.policy.engine.assess",
}


@pytest.mark.parametrize("former", FORMER)
def test_it_still_imports_and_says_its_new_name(former: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"use {FORMER[former]}"):
        found = import_string(former)
    assert found is import_string(FORMER[former])


def test_a_name_that_never_was_is_an_error_as_ever() -> None:
    with pytest.raises(ImportError, match="nothing"):
        import_string("agents.terms.nothing")
    with pytest.raises(ImportError, match="Match"):  # engine.Match was never offered under reviews.policy
        import_string("reviews.policy.Match")


def test_the_former_path_of_the_health_check_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["healthcheck.py", "neither"])
    with pytest.raises(SystemExit) as former:
        runpy.run_path(str(Path(healthcheck.__file__).parent.parent / "healthcheck.py"), run_name="__main__")
    with pytest.raises(SystemExit) as present:
        runpy.run_path(healthcheck.__file__, run_name="__main__")
    assert former.value.code == present.value.code
