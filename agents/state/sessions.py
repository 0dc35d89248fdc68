"""Sessions, which are locked before anything else. The lock ensures that exactly one of a session's tasks is active."""

import uuid

from django.db import IntegrityError

from agents.models import Session


def lock(pk: uuid.UUID) -> None:
    """Lock the session until the transaction ends."""
    Session.objects.select_for_update(no_key=True).filter(pk=pk).first()


def lock_named(user_id: str, session_id: str) -> Session:
    """Return the session, locked until the transaction ends. Creates it if it is new."""
    rows = Session.objects.select_for_update(no_key=True).filter(user_id=user_id, session_id=session_id)
    while True:  # again if the session is deleted in between
        open_named(user_id, session_id)
        if (session := rows.first()) is not None:
            return session


def open_named(user_id: str, session_id: str, **values: str) -> tuple[Session, bool]:
    """Return the session and whether it is new. A new session gets these values."""
    while True:
        try:
            return Session.objects.get_or_create(user_id=user_id, session_id=session_id, defaults=values)
        except IntegrityError:  # created by another transaction, and deleted again
            continue
