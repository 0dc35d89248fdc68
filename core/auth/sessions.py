"""The admin's sessions, in the database (setting SESSION_ENGINE)."""

from typing import Any

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """Django's own, but for keys that it can't have made: a cookie can spell a NUL, which PostgreSQL refuses."""

    def _validate_session_key(self, key: Any) -> bool:
        """Whether the key is worth looking for."""
        sound = super()._validate_session_key(key)  # type: ignore[misc] # unknown to django-stubs
        return bool(sound) and key.isascii() and key.isalnum()
