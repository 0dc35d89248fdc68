"""Django's PostgreSQL backend (setting ENGINE) with a pool that recovers from a server restart at once."""
