"""Export, count and erasure of everything the service has about one user.

Rows that belong to a session are found by following the foreign keys along which deletions cascade. The export
therefore shows exactly what an erasure deletes, also for tables added later.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.fields.reverse_related import ManyToOneRel
from django.utils.translation import override
from django_celery_results.models import TaskResult

from agents import services
from agents.models import FINAL, DayUsage, IdempotencyKey, ModelCall, Session, Task
from agents.state import model_calls
from core.models import ApiKey, Preferences
from memory import services as memories
from memory.models import Memory
from notifications.models import Delivery, Subscription
from reviews import pauses
from reviews.models import Decision
from reviews.policy import rules

# Credentials (an API key's id contains its hash), and embeddings, which are computed from the text.
LEFT_OUT = {"user.password", "apikey.id", "apikey.hashed_key", "memory.embedding"}
CHUNK = 20  # rows in memory; a task's result can be large
AT_ONCE = 500  # ids in one statement
ERASED = "erased"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Rows = models.QuerySet[models.Model]


def export(user_id: str) -> Iterator[str]:
    """Yield everything as one JSON object, in pieces of text."""
    yield "{" + f'"user_id": {_json(user_id)}'
    for name, rows in _roots(user_id).items():
        yield f',\n"{name}": '
        yield from _list(rows)
    yield "}\n"


def counts(user_id: str) -> dict[str, int]:
    """Count the rows by kind; `unfinished` is the number of tasks that an erasure stops."""
    tasks = Task.objects.filter(session__user_id=user_id)
    return {
        "sessions": Session.objects.filter(user_id=user_id).count(),
        "tasks": tasks.count(),
        "unfinished": tasks.exclude(status__in=FINAL).count(),
        "memories": Memory.objects.filter(user_id=user_id).count(),
        "policy rules": rules.made_for(user_id).count(),
        "pauses": pauses.of_user(user_id).count(),
        "idempotency keys": IdempotencyKey.objects.filter(principal__username=user_id).count(),
        "accounts": User.objects.filter(username=user_id).count(),
    }


def erase(user_id: str, *, account: bool = False) -> None:
    """Delete the user's sessions and everything in them, memories, idempotency keys, and policy rules made from calls.

    Also delete pauses of the user, which resumes the user: see docs/explanation/security.md. Model calls stay without
    the user's name, because the sums of the service contain them.

    Running tasks are stopped. The admin's log entries stay, without the names of the erased objects. Running it again
    continues an interrupted erasure.

    Args:
        user_id: The owner's id, as in the API.
        account: Also delete the Django user and its API keys. The account is deactivated first.
    """
    if account:
        User.objects.filter(username=user_id).update(is_active=False)
    for rows in _owned(user_id).values():
        _forget_names(rows)
    for _ in services.delete_sessions_of(user_id):
        pass
    model_calls.forget_user(user_id)  # after the sessions: nothing more is entered
    memories.erase(user_id)  # after the sessions: a task may have remembered something until it was stopped
    rules.made_for(user_id).delete()  # the audit log still has their ids
    pauses.erase(user_id)
    IdempotencyKey.objects.filter(principal__username=user_id).delete()
    Delivery.objects.filter(user__username=user_id).delete()  # those about the user's tasks went with the sessions
    _forget_failed_jobs()
    if account:
        User.objects.filter(username=user_id).delete()


def _owned(user_id: str) -> dict[str, Rows]:
    return {
        "sessions": Session.objects.filter(user_id=user_id),
        "memories": Memory.objects.filter(user_id=user_id),
        "policy_rules": rules.made_for(user_id),
        "pauses": pauses.of_user(user_id),
    }


def _roots(user_id: str) -> dict[str, Rows]:
    return {
        "account": User.objects.filter(username=user_id),
        "api_keys": ApiKey.objects.filter(user__username=user_id),
        "idempotency_keys": IdempotencyKey.objects.filter(principal__username=user_id),
        "preferences": Preferences.objects.filter(user__username=user_id),
        "email_subscriptions": Subscription.objects.filter(user__username=user_id),
        **_owned(user_id),
        "decisions": Decision.objects.filter(by_name=user_id),
        "model_calls": ModelCall.objects.filter(user_id=user_id),
        "usage_by_day": DayUsage.objects.filter(user_id=user_id),
    }


def _list(rows: Rows) -> Iterator[str]:
    yield "["
    for number, row in enumerate(rows.order_by("pk").iterator(chunk_size=CHUNK)):
        yield ",\n" if number else "\n"
        yield from _row(row)
    yield "]"


def _row(row: models.Model) -> Iterator[str]:
    kind, fields = row._meta.model_name, row._meta.concrete_fields
    yield _json({f.attname: getattr(row, f.attname) for f in fields if f"{kind}.{f.name}" not in LEFT_OUT})[:-1]
    for name, model, column in _cascades(type(row)):
        yield f', "{name}": '
        yield from _list(model._default_manager.filter(**{column: row.pk}))
    yield "}"


@cache
def _cascades(model: type[models.Model]) -> list[tuple[str, type[models.Model], str]]:
    """Return the tables whose rows are deleted with a row of this model: name, model, foreign key column."""
    if model is User:  # `_roots` lists an account's tables explicitly, because other apps keep secrets in theirs
        return []
    relations = (field for field in model._meta.get_fields(include_hidden=True) if isinstance(field, ManyToOneRel))
    with override("en"):
        return [
            (str(one.related_model._meta.verbose_name_plural).replace(" ", "_"), one.related_model, one.field.name)
            for one in relations
            if one.on_delete is models.CASCADE
        ]


def _forget_names(rows: Rows) -> None:
    """Replace the names of these rows, and of all rows deleted with them, in the admin's log."""
    kinds = [model for model in apps.get_models() if model._meta.concrete_model is rows.model]
    types = ContentType.objects.get_for_models(*kinds, for_concrete_models=False).values()
    found = rows.values_list("pk", flat=True).iterator()
    while pks := list(islice(found, AT_ONCE)):
        LogEntry.objects.filter(content_type__in=types, object_id__in=map(str, pks)).update(object_repr=ERASED)
        for _, model, column in _cascades(rows.model):
            _forget_names(model._default_manager.filter(**{f"{column}__in": pks}))


def _forget_failed_jobs() -> None:
    """Delete Celery's results of failed jobs whose task is gone, because a traceback can quote the task."""
    found = TaskResult.objects.values_list("pk", "task_args").iterator()
    while some := list(islice(found, AT_ONCE)):
        tasks = {pk: match[0] for pk, args in some if (match := UUID.search(args or ""))}
        left = {str(pk) for pk in Task.objects.filter(pk__in=tasks.values()).values_list("pk", flat=True)}
        TaskResult.objects.filter(pk__in=[pk for pk, task in tasks.items() if task not in left]).delete()


def _json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
