"""Sessions, which are locked before anything else. The lock ensures that exactly one of a session's tasks is active."""

import uuid

from django.db import IntegrityError

from agents.models import Session


def lock(pk: uuid.UUID) -> None:
    """Lock the session until the transaction ends."""
    Session.objects.select_for_update(no_key=True).filter(pk=pk).first()


def lock_named(user_id: str, session_id: str) -> tuple[Session, bool]:
    """Return the session, locked until the transaction ends, and whether it is new. Creates it if it is.

    A new session needs no lock: until this transaction ends, others wait at the index of the names.
    """
    rows = Session.objects.select_for_update(no_key=True).filter(user_id=user_id, session_id=session_id)
    while True:  # again if another transaction creates the session in between
        if (session := rows.first()) is not None:
            return session, False
        session, is_new = open_named(user_id, session_id)
        if is_new:
            return session, True


def create(user_id: str) -> Session:
    """Create a session with an id of its own."""
    return Session.objects.create(user_id=user_id, session_id=str(uuid.uuid4()))


def open_named(user_id: str, session_id: str, **values: str) -> tuple[Session, bool]:
    """Return the session and whether it is new. A new session gets these values."""
    while True:
        try:
            return Session.objects.get_or_create(user_id=user_id, session_id=session_id, defaults=values)
        except IntegrityError:  # created by another transaction, and deleted again
            continue
