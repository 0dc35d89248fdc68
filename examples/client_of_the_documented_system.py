"""A client of the original FastAPI system, against Agentsite: its calls and its fields, and an Authorization header.

    python examples/client_of_the_documented_system.py http://127.0.0.1:8000 <key>

docs/how-to/migrating.md says what has changed beyond that.
"""

import sys
import time
from typing import Any

import httpx

USER, SESSION, TASK = "migrating-user", "trip", "t1"
IDS = {"user_id": USER, "session_id": SESSION, "task_id": TASK}


class Client:
    """The original calls; an answer that is no success is an httpx.HTTPStatusError."""

    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)

    def get(self, path: str) -> Any:
        """Return what the path answers."""
        return self._answer("GET", path)

    def post(self, path: str, **body: Any) -> Any:
        """Return what the path answers to this body."""
        return self._answer("POST", path, json=body)

    def delete(self, path: str) -> Any:
        """Return what deleting it answers."""
        return self._answer("DELETE", path)

    def wait_for(self, *statuses: str, seconds: float = 60) -> Any:
        """Return the task as soon as it has one of these statuses."""
        deadline = time.monotonic() + seconds
        while (task := self.get(f"/agent/status/{USER}/{SESSION}/{TASK}"))["status"] not in statuses:
            if task["status"] == "error" or time.monotonic() > deadline:
                raise SystemExit(f"The task is {task['status']}: {task['message']}")
            time.sleep(0.2)
        return task

    def _answer(self, method: str, path: str, **more: Any) -> Any:
        response = self.http.request(method, path, **more)
        print(f"{response.status_code} {method} {path}")
        return response.raise_for_status().json()


def main(url: str, key: str) -> None:
    """Book a hotel with a person's consent, look around, clear up."""
    client = Client(url, key)
    client.get("/health")
    client.post("/agent/write/longterm", user_id=USER, memory_info="prefers a quiet room")
    client.post("/agent/invoke", **IDS, query="book the Ritz for 2 nights", system_message="Be brief.")
    asked = client.wait_for("interrupted")["last_response"]["interrupt_data"]
    print(f"It asks: {asked['action_request']}")
    client.post("/agent/resume", **IDS, response_type="accept")
    messages = client.wait_for("completed")["last_response"]["result"]["messages"]
    print(f"It says: {messages[-1]['content']}")
    print(client.get(f"/agent/sessionids/{USER}")["session_ids"])
    print(client.get(f"/agent/tasks/{USER}/{SESSION}")["task_ids"])
    print(client.get(f"/agent/active/sessionid/{USER}")["active_session_id"])
    print(client.get("/system/info")["sessions_count"] > 0)
    client.delete(f"/agent/task/{USER}/{SESSION}/{TASK}")
    client.delete(f"/agent/session/{USER}/{SESSION}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("Give the service's address and an API key.")
    main(sys.argv[1], sys.argv[2])
