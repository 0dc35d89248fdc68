"""The dashboard of deploy/grafana asks only for metrics that there are, with labels that they have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "agentsite.json").read_text())
DOCS = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("observability.md"))
METRICS = dict(re.findall(r"^\| `(agentsite_\w+)` \|([^|]*)\|", DOCS, re.MULTILINE))
TARGETS = [
    (panel["title"], target["expr"], target["legendFormat"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
]


def labels_of(metric: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", METRICS[metric]))


@pytest.mark.parametrize(("title", "expression", "legend"), TARGETS)
def test_a_panel_asks_for_metrics_and_labels_that_are_documented(title: str, expression: str, legend: str) -> None:
    metrics = {name.removesuffix("_bucket") for name in re.findall(r"agentsite_\w+", expression)}
    assert metrics <= METRICS.keys()
    known = set.union(*(labels_of(metric) for metric in metrics))
    used = set(re.findall(r"\{\{(\w+)\}\}", legend)) | set(re.findall(r"(\w+)=\"", expression))
    for listed in re.findall(r"by \(([\w, ]+)\)", expression):
        used |= set(listed.split(", ")) - {"le"}
    assert used <= known


def test_every_metric_but_the_version_has_a_panel() -> None:
    shown = {name.removesuffix("_bucket") for _, text, _ in TARGETS for name in re.findall(r"agentsite_\w+", text)}
    assert METRICS.keys() - shown == {"agentsite_info", "agentsite_workers_alive", "agentsite_tasks_paused"}


def test_panels_have_ids_and_places_of_their_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert len(places) == len(set(places))
