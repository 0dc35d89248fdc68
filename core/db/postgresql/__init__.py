"""Django's PostgreSQL backend (setting ENGINE), whose pool gets over a restart of the server at once."""
