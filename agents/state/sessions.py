"""Sessions are locked before anything else: that exactly one of their tasks is active is decided under this lock."""

import uuid

from django.db import IntegrityError

from agents.models import Session


def lock(pk: uuid.UUID) -> None:
    """Lock the session until the transaction ends."""
    Session.objects.select_for_update(no_key=True).filter(pk=pk).first()


def lock_named(user_id: str, session_id: str) -> Session:
    """The session, made where it is new, locked until the transaction ends."""
    rows = Session.objects.select_for_update(no_key=True).filter(user_id=user_id, session_id=session_id)
    while True:  # once more for each time that somebody deletes it in between
        open_named(user_id, session_id)
        if (session := rows.first()) is not None:
            return session


def open_named(user_id: str, session_id: str, **values: str) -> tuple[Session, bool]:
    """The session, and whether it is new: then with these values."""
    while True:
        try:
            return Session.objects.get_or_create(user_id=user_id, session_id=session_id, defaults=values)
        except IntegrityError:  # somebody made it meanwhile, and it has been deleted again
            continue
