"""Sessions, which are locked before anything else. The lock ensures that exactly one of a session's tasks is active."""

import uuid

from django.db import connection

from agents.models import Session
from core.db.compiled import Compiled

# One statement that creates the session or does nothing, and waits for another transaction that is creating it.
_CREATE = """
    INSERT INTO agents_session (id, user_id, session_id, title, agent) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (user_id, session_id) DO NOTHING RETURNING *
"""
_LOCKED = Compiled[Session](lambda pk: Session.objects.select_for_update(no_key=True).filter(pk=pk).only("pk"))


def lock(pk: uuid.UUID) -> None:
    """Lock the session until the transaction ends."""
    _LOCKED(pk)


def lock_named(user_id: str, session_id: str) -> tuple[Session, bool]:
    """Return the session, locked until the transaction ends, and whether it is new. Creates it if it is.

    A new session needs no lock: until this transaction ends, others wait at the index of the names.
    """
    rows = Session.objects.select_for_update(no_key=True).filter(user_id=user_id, session_id=session_id)
    while True:  # again if another transaction deletes the session in between
        if (session := _created(user_id, session_id)) is not None:
            return session, True
        if (session := rows.first()) is not None:
            return session, False


def create(user_id: str) -> Session:
    """Create a session with an id of its own."""
    return Session.objects.create(user_id=user_id, session_id=str(uuid.uuid4()))


def open_named(user_id: str, session_id: str, **values: str) -> tuple[Session, bool]:
    """Return the session and whether it is new. A new session gets these values."""
    rows = Session.objects.filter(user_id=user_id, session_id=session_id)
    while True:  # as above
        if (session := _created(user_id, session_id, **values)) is not None:
            return session, True
        if (session := rows.first()) is not None:
            return session, False


def _created(user_id: str, session_id: str, **values: str) -> Session | None:
    """Create the session, or return None if it exists."""
    new = Session(user_id=user_id, session_id=session_id, **values)
    pk = Session._meta.pk.get_db_prep_value(new.pk, connection)
    made = list(Session.objects.raw(_CREATE, [pk, user_id, session_id, new.title, new.agent]))
    return made[0] if made else None
