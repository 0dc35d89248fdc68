"""Each request to a model's endpoint is one row, over retries, odd answers and kills."""

from typing import Any

import pytest
from agents.maintenance import usage
from agents.models import ModelCall, DayUsage

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_call_is_a_row_with_its_tokens(invoke: Any, work: Any, api: Any, settings: Any) -> None:
    settings.MODEL_PRICES = '{"de*": {"input": 0.4, "output": "1.6"}}'
    task = invoke("multiply 6 by 7")
    work()
    rows = list(ModelCall.objects.order_by("started_at").values())
    for row in rows:
        print(row)
    for by in ("day", "user", "agent", "model", "session", "task"):
        r = api.get(f"/usage?group_by={by}")
        print(r.status_code, r.json())
        r = api.get(f"/usage?group_by={by}&format=csv")
        print(b"".join(r.streaming_content).decode())
    r = api.get(f"/usage", headers={"Accept": "text/csv"})
    print(b"".join(r.streaming_content).decode())
    r = api.get(f"/usage?limit=x", headers={"Accept": "text/csv"})
    print(r.status_code, r.headers, r.content)
    print(api.get("/agent/status/ann/s1/" + task.task_id).json())
    print(api.get("/system/info").json())
    settings.MODEL_TIMEOUT_SECONDS = -61
    ModelCall.objects.update(started_at="2026-11-30T00:00:00Z")
    usage.sum_usage()
    print(DayUsage.objects.values())
    for by in ("day", "user", "agent", "model", "session", "task"):
        r = api.get(f"/usage?group_by={by}")
        print(r.status_code, r.json())
    assert 0
