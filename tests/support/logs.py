"""Log lines as they would stand in the file."""

import io
import logging
import logging.config
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agentsite.observability import logs

SECRETS = {
    "SECRET_KEY": "django-secret-key-0123456789",
    "OPENAI_API_KEY": "opaque+key/of=a-provider",
    "DATABASE_URL": "postgres://agent:p%40ss-of-the-db@db.example.com:5432/agentsite",
    "REDIS_URL": "rediss://:password-of-redis@redis.example.com:6379/0",
    "EMAIL_URL": "smtp+tls://robot:password-of-mail@mail.example.com:587",
    "HARMLESS": "not-a-secret-value",
}


@contextmanager
def written(log_format: str) -> Iterator[Callable[[], list[str]]]:
    """What is logged inside, in this format: a function that gives the lines so far."""
    chosen = logs.config(log_format, "INFO", SECRETS)["formatters"]["chosen"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(chosen["()"](processors=chosen["processors"]))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel("INFO")
    try:
        yield lambda: stream.getvalue().splitlines()
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
