"""Sessions, tasks and tool calls in the admin."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents.models import Attempt, Session, Task, ToolCall
from core.text import canonical
from tests.support.accounts import grant
from tests.support.helpers import again

pytestmark = pytest.mark.django_db(transaction=True)

LISTS = ["session", "task", "toolcall", "workerprocess"]


@pytest.fixture
def done(invoke: Any, work: Any) -> Task:
    """A completed task with a tool call, and one that waits for a review."""
    task = invoke("multiply 6 by 7")
    work()
    invoke("book the Ritz for 2 nights", session="s2")
    work()
    return again(task)


@pytest.mark.parametrize("name", LISTS)
def test_the_lists_open(admin_client: Client, done: Task, name: str) -> None:
    assert admin_client.get(f"/admin/agents/{name}/").status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_a_list_needs_few_queries(
    admin_client: Client, invoke: Any, work: Any, name: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(8):
        invoke("multiply 6 by 7 and book the Ritz for 2 nights", session=f"s{number}")
    work()
    with django_assert_max_num_queries(12):
        admin_client.get(f"/admin/agents/{name}/")


def test_a_tasks_page_shows_its_story(admin_client: Client, done: Task) -> None:
    content = admin_client.get(f"/admin/agents/task/{done.pk}/change/").content.decode()
    call, attempt = ToolCall.objects.get(), Attempt.objects.get(task=done)
    for shown in ("multiply 6 by 7", "42", f"/admin/agents/toolcall/{call.pk}/", attempt.worker):
        assert shown in content


def test_a_waiting_task_links_to_its_review(admin_client: Client, done: Task) -> None:
    task = Task.objects.get(status="interrupted")
    content = admin_client.get(f"/admin/agents/task/{task.pk}/change/").content.decode()
    assert f"/admin/reviews/review/{task.interrupts.get().pk}/change/" in content


def test_a_session_links_to_its_tasks_reviews_and_memories(admin_client: Client, done: Task) -> None:
    content = admin_client.get(f"/admin/agents/session/{done.session_id}/change/").content.decode()
    links = [f"/admin/agents/task/?session__id__exact={done.session_id}", "/admin/memory/memory/?q=ann"]
    links.append(f"/admin/reviews/review/?status=all&amp;task__session__id__exact={done.session_id}")
    for link in links:
        assert link in content
        assert admin_client.get(link.replace("&amp;", "&")).status_code == 200


def test_a_sessions_page_shows_its_tasks_and_what_was_said(admin_client: Client, done: Task) -> None:
    content = admin_client.get(f"/admin/agents/session/{done.session_id}/change/").content.decode()
    assert f"/admin/agents/task/{done.pk}/change/" in content
    assert '<p class="human"><strong>user</strong>multiply 6 by 7</p>' in content
    assert '<p class="tool"><strong>tool</strong>42</p>' in content


def test_what_was_said_is_for_those_who_may_see_tasks(done: Task) -> None:
    client = Client()
    client.force_login(grant(User.objects.create_user("stan", is_staff=True), "agents.view_session"))
    content = client.get(f"/admin/agents/session/{done.session_id}/change/").content.decode()
    assert "ann" in content
    assert "multiply" not in content


@pytest.mark.parametrize("kind", ["session", "task", "toolcall"])
def test_what_a_model_a_tool_or_a_client_wrote_is_shown_as_text(admin_client: Client, done: Task, kind: str) -> None:
    odd = "<img src=x onerror=alert(1)>\u202e"
    said = [
        {"type": kind, "content": odd, "tool_calls": [{"name": odd, "args": {odd: odd}}]} for kind in ("human", "ai")
    ]
    Task.objects.update(query=odd, result={"messages": said}, message=odd, system_message=odd, recalled=[{"text": odd}])
    Session.objects.update(title=odd)
    ToolCall.objects.update(args_text=canonical({odd: odd}), result_text=canonical({"content": odd}))
    row = {"session": done.session_id, "task": done.pk, "toolcall": ToolCall.objects.get().pk}[kind]
    content = admin_client.get(f"/admin/agents/{kind}/{row}/change/").content.decode()
    assert "&lt;img src=x onerror=alert(1)&gt;\\u{202e}" in content
    assert "<img src=x" not in content
    assert "\u202e" not in content


def test_a_sessions_page_shows_its_last_messages_only(
    admin_client: Client, invoke: Any, work: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        task = invoke(f"multiply {number} by 7")
        work()
    with django_assert_max_num_queries(12):
        content = admin_client.get(f"/admin/agents/session/{task.session_id}/change/").content.decode()
    assert content.count("<strong>user</strong>") == 10
    assert "multiply 1 by 7" not in content
    assert "multiply 11 by 7" in content


def test_what_a_tool_gave_stands_there_in_its_own_letters(admin_client: Client, done: Task) -> None:
    ToolCall.objects.update(
        args_text='{"to": "\\u5f20\\u4e09"}', result_text='{"content": "\\u597d", "status": "success"}'
    )
    content = admin_client.get(f"/admin/agents/toolcall/{ToolCall.objects.get().pk}/change/").content.decode()
    assert "张三" in content
    assert ">好<" in content


def test_a_tool_calls_page_shows_arguments_and_result(admin_client: Client, done: Task) -> None:
    content = admin_client.get(f"/admin/agents/toolcall/{ToolCall.objects.get().pk}/change/").content.decode()
    assert "{&quot;a&quot;: 6.0, &quot;b&quot;: 7.0}" in content
    assert "42" in content


def test_nothing_is_changed_by_hand(admin_client: Client, done: Task) -> None:
    assert admin_client.post(f"/admin/agents/task/{done.pk}/change/", {"status": "error"}).status_code == 403
    assert admin_client.post(f"/admin/agents/task/{done.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get("/admin/agents/task/add/").status_code == 403


def test_tasks_are_cancelled_from_the_list(admin_client: Client, done: Task) -> None:
    picked = [str(pk) for pk in Task.objects.values_list("pk", flat=True)]
    admin_client.post("/admin/agents/task/", {"action": "cancel", "_selected_action": picked})
    assert set(Task.objects.values_list("status", flat=True)) == {"completed", "cancelled"}


def test_failed_jobs_are_listed(admin_client: Client) -> None:
    assert admin_client.get("/admin/django_celery_results/taskresult/").status_code == 200


def test_the_index_offers_no_models_that_do_nothing(admin_client: Client) -> None:
    content = admin_client.get("/admin/").content.decode()
    assert "/admin/rest_framework_api_key/" not in content
    assert "/admin/django_celery_results/groupresult/" not in content
    assert "/admin/django_celery_results/taskresult/add/" not in content
    assert "Worker processes" in content
