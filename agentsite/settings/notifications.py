"""Notifications (docs/how-to/notices.md), and mail: written to the data folder unless EMAIL_URL names a server."""

import environ

from agentsite.settings.base import DATA_DIR, PORT, env

# Public base URL of this site, used for links in notifications.
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
# Internal networks (CIDR) that may receive webhooks. All other receivers must be public and use https.
WEBHOOK_ALLOW_NETWORKS: list[str] = env.list("WEBHOOK_ALLOW_NETWORKS", default=[])
NOTICE_TRIES = env.int("NOTICE_TRIES", default=8)  # of one delivery: about a day, including the delays between them
NOTICE_RETRY_SECONDS = env.float("NOTICE_RETRY_SECONDS", default=15.0)  # the first delay; each next is four times it
NOTICE_TIMEOUT_SECONDS = env.float("NOTICE_TIMEOUT_SECONDS", default=10.0)  # of one whole webhook request
# A review is nearly expired when less than both of these is left: seconds, and share of its time limit.
NOTICE_NEAR_EXPIRY_SECONDS = env.float("NOTICE_NEAR_EXPIRY_SECONDS", default=3600.0)
NOTICE_NEAR_EXPIRY_SHARE = env.float("NOTICE_NEAR_EXPIRY_SHARE", default=0.25)
NOTICE_RETENTION_DAYS = env.int("NOTICE_RETENTION_DAYS", default=30)  # of deliveries; 0 keeps forever

EMAIL_TIMEOUT = 10  # seconds; by default Django waits forever for a mail server that does not answer

# Additional duties of the workers, as dotted paths, because agents must not import notifications.
SWEEPER_DUTIES = ["notifications.outbox.near_expiry", "notifications.delivery_threads.deliver_notices"]
HOUSEKEEPING_DUTIES = ["notifications.outbox.old_deliveries"]

# EMAIL_URL: smtp+tls://user:password@host:587
EMAIL_FILE_PATH = str(DATA_DIR / "outbox")
if EMAIL_URL := env.str("EMAIL_URL", default=""):
    vars().update(environ.Env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="agentsite@localhost")
