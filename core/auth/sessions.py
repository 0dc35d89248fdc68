"""The admin's sessions, in the database (setting SESSION_ENGINE)."""

from typing import Any

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """Django's session store, which ignores keys that it cannot have made.

    A cookie can contain a NUL, which PostgreSQL refuses.
    """

    def _validate_session_key(self, key: Any) -> bool:
        """Return whether the key can exist."""
        sound = super()._validate_session_key(key)  # type: ignore[misc] # unknown to django-stubs
        return bool(sound) and key.isascii() and key.isalnum()
