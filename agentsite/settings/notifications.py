"""Settings of the notices (docs/notices.md), read into settings.py. Nothing here may need Django to be set up."""

import environ

_env = environ.Env()

# Where people reach this site: the links of notices begin with it.
PUBLIC_URL = _env.str("PUBLIC_URL", default=f"http://127.0.0.1:{_env.int('PORT', default=8000)}").rstrip("/")
# Networks (CIDR) of receivers inside; all others have to be public, and spoken to by https.
WEBHOOK_ALLOW_NETWORKS: list[str] = _env.list("WEBHOOK_ALLOW_NETWORKS", default=[])
NOTICE_TRIES = _env.int("NOTICE_TRIES", default=8)  # of one delivery: about a day with the pauses between them
NOTICE_RETRY_SECONDS = _env.float("NOTICE_RETRY_SECONDS", default=15.0)  # the first pause; each next is four times it
NOTICE_TIMEOUT_SECONDS = _env.float("NOTICE_TIMEOUT_SECONDS", default=10.0)  # of one try by webhook, all in all
# A review is nearly expired when less than this is left, and less than this share of the time that it had.
NOTICE_NEAR_EXPIRY_SECONDS = _env.float("NOTICE_NEAR_EXPIRY_SECONDS", default=3600.0)
NOTICE_NEAR_EXPIRY_SHARE = _env.float("NOTICE_NEAR_EXPIRY_SHARE", default=0.25)
NOTICE_RETENTION_DAYS = _env.int("NOTICE_RETENTION_DAYS", default=30)  # of deliveries; 0 keeps for ever

EMAIL_TIMEOUT = 10  # seconds; Django waits for ever for a mail server that does not answer

# What the workers do besides, by dotted paths: the notices stand above agents.
SWEEPER_DUTIES = ["notifications.outbox.near_expiry", "notifications.delivery_threads.deliver_notices"]
HOUSEKEEPING_DUTIES = ["notifications.outbox.old_deliveries"]
