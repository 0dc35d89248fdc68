"""Settings, all from the environment; docs/settings.md lists the variables.

Without any of them the service runs on SQLite and files below `AGENTSITE_DATA`. `DATABASE_URL` and `REDIS_URL` move it
to PostgreSQL and Redis; nothing else changes.
"""

import os
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from agentsite.observability import logs
from agentsite.settings.database import database
from agentsite.settings.login import login_protection
from agentsite.settings.notifications import *  # noqa: F403
from agentsite.settings.openapi import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from agentsite.settings.rest import rest_framework

# A crafted checkpoint could otherwise name code to run while it is read. LangGraph looks at this when it is imported.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"Can't make the folder {folder} ({error.strerror}): set AGENTSITE_DATA.") from error


env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent.parent
DATA_DIR = Path(env.str("AGENTSITE_DATA", default=str(BASE_DIR / "var"))).resolve()

_make(DATA_DIR)

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("Set SECRET_KEY (50 random characters or more), or DEBUG=true on your own machine.")
    SECRET_KEY = "insecure-development-key-that-only-debug-mode-accepts-0123456789"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PORT = env.int("PORT", default=8000)

INSTALLED_APPS = [
    "agentsite.admin_config.AdminSiteConfig",  # django.contrib.admin, with a site of our own
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",  # its templates, for FORM_RENDERER
    "rest_framework",
    "rest_framework_api_key",
    "django_celery_results",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "core",
    "memory",
    "agents",
    "reviews",
    "notifications",
    "agentsite",
    "demo",
    "devserver",
]

MIDDLEWARE = [
    "agentsite.observability.tracing.TracingMiddleware",
    "agentsite.middleware.request_id.RequestIdMiddleware",
    "agentsite.api.errors.json_errors",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "agentsite.middleware.readers.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "agentsite.api.errors.AdminAddresses",
    "agentsite.middleware.readers.time_zone",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "agentsite.urls"
WSGI_APPLICATION = "agentsite.wsgi.application"
APPEND_SLASH = False
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # so that widgets can be replaced as well
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "agentsite" / "templates"],  # before those of django.contrib.admin, whose frame is replaced
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database

TASK_LEASE_SECONDS = env.float("TASK_LEASE_SECONDS", default=30.0)
DATABASE_URL = env.str("DATABASE_URL", default="")
# Seconds for which a request waits for one answer of PostgreSQL; 0 is no limit. A worker's runs wait for a lease at
# least, tools and management commands without a limit.
DATABASE_ANSWER_SECONDS = env.float("DATABASE_ANSWER_SECONDS", default=10.0)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": database(env, DATA_DIR, TASK_LEASE_SECONDS)}

# Celery: early acknowledgement and no retries by the broker; lease, token and sweeper recover (docs/execution.md).

REDIS_URL = env.str("REDIS_URL", default="")
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = True
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_POOL = env.str("WORKER_POOL", default="threads")
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=8)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # a broker that refuses a command is no reason to end a worker
CELERY_WORKER_CONSUMER = "agents.worker.consumer:Consumer"
CELERY_TIMEZONE = "UTC"
WEB_THREADS = env.int("WEB_THREADS", default=8)
WORKER_PROCESSES = env.int("WORKER_PROCESSES", default=1)
REDIS_TRANSPORT_OPTIONS: dict[str, Any] = {
    # A client waits for its 202 meanwhile. The sweeper publishes again, so nothing here has to be tried for long.
    "socket_timeout": 3,
    "socket_connect_timeout": 3,
    "retry_on_timeout": False,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "global_keyprefix": env.str("REDIS_PREFIX", default="agentsite:"),
    # A connection that hangs is dropped: seconds without an answer, of what a worker listens on and of all others.
    "health_check_interval": 5,
    "socket_keepalive": True,
}
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_WORKER_DISABLE_PREFETCH = True  # a job that a busy worker has reserved waits there while others are free
    CELERY_BROKER_TRANSPORT_OPTIONS = REDIS_TRANSPORT_OPTIONS
    CACHES: dict[str, Any] = {
        "default": {
            "BACKEND": "core.cache.TolerantRedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": REDIS_TRANSPORT_OPTIONS["global_keyprefix"],
        }
    }
else:
    BROKER_DIR = DATA_DIR / "broker"
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT = "agents.message_files:Transport"
    CELERY_WORKER_DISABLE_PREFETCH = False  # only Redis can
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "control_folder": str(BROKER_DIR / "control"),
        # Below our own folder; else messages travel through the system's temp directory. The sweeper empties it.
        "store_processed": True,
        "processed_folder": str(BROKER_DIR / "processed"),
        "unreadable_folder": str(BROKER_DIR / "unreadable"),
        "polling_interval": 0.1,
    }
    for _folder in ("queue", "control", "processed"):
        _make(BROKER_DIR / _folder)
    # More entries than there are clients: a full cache forgets a third of what it has counted.
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 20_000}}
    }

# Execution (seconds unless said otherwise). `manage.py check` holds them against one another.

TASK_HEARTBEAT_SECONDS = env.float("TASK_HEARTBEAT_SECONDS", default=10.0)
TASK_SWEEP_SECONDS = env.float("TASK_SWEEP_SECONDS", default=15.0)
TASK_REPUBLISH_SECONDS = env.float("TASK_REPUBLISH_SECONDS", default=60.0)
TASK_WALL_SECONDS = env.float("TASK_WALL_SECONDS", default=3600.0)
TASK_WALL_GRACE_SECONDS = 180.0  # for a run to notice by itself, between two model calls, that its time is over
TASK_MAX_LAPSES = 3  # attempts in a row that died without a new checkpoint, before the task is an error
TASK_MAX_QUEUED = 20  # tasks waiting in one session
TASK_MAX_REFUSALS = env.int("TASK_MAX_REFUSALS", default=3)  # of the same call (tool, arguments) in one task
ANSWER_MAX_CALLS = env.int("ANSWER_MAX_CALLS", default=50)  # tool calls in one answer of the model
GRAPH_RECURSION_LIMIT = env.int("GRAPH_RECURSION_LIMIT", default=50)  # steps of one task, over all its pauses
TOOL_RESULT_LIMIT = 256 * 1024  # bytes of a tool's result that the model gets
# What one request to the model holds, in tokens as core.tokens estimates them. The two together, with prompt,
# memories and tools, fit a context of 128,000; longer tool results are shortened first.
CONVERSATION_TOKENS = env.int("CONVERSATION_TOKENS", default=32_000)  # of earlier tasks of the session; of one result
TASK_TOKENS = env.int("TASK_TOKENS", default=80_000)  # of the running task's own messages
MEMORY_TOKENS = env.int("MEMORY_TOKENS", default=2_500)  # of recalled memories in the system prompt, approximately
MEMORY_REVIEW = env.bool("MEMORY_REVIEW", default=False)  # True: whatever an agent remembers waits for approval

# What becomes of an approved call whose approver, before it runs, is deactivated or loses the right to decide it:
# "stand" (it runs) or "ask_again" (it becomes a new review).
DECISIONS_OF_FORMER_REVIEWERS = env.str("DECISIONS_OF_FORMER_REVIEWERS", default="stand")

# Retention (days; 0 keeps for ever): the workers' housekeeping deletes once a day what is older.

SESSION_RETENTION_DAYS = env.int("SESSION_RETENTION_DAYS", default=0)  # since a session's last change
JOB_RETENTION_DAYS = env.int("JOB_RETENTION_DAYS", default=30)  # what Celery notes of failed jobs
KEY_RETENTION_DAYS = env.int("KEY_RETENTION_DAYS", default=90)  # API keys that were revoked or expired

# The model and the agents

OPENAI_API_KEY = env.str("OPENAI_API_KEY", default="")
OPENAI_BASE_URL = env.str("OPENAI_BASE_URL", default="")
AGENT_MODEL = env.str("AGENT_MODEL", default="openai:gpt-4.1-mini")
MODEL_TIMEOUT_SECONDS = env.float("MODEL_TIMEOUT_SECONDS", default=60.0)  # of one whole request to the model
MODEL_RETRY_SECONDS = env.float("MODEL_RETRY_SECONDS", default=100.0)  # of one model call with all its retries
PREVIEW_SECONDS = env.float("PREVIEW_SECONDS", default=2.0)  # for a tool's preview of edited arguments; 0: none
AGENT_TOOLS = env.list("AGENT_TOOLS", default=[])
REVIEW_DESK = "reviews.desk.Desk"
DEFAULT_POLICY = "reviews.policy.plugin.RulesPolicy"  # it also keeps the books of a policy that is a function
AGENTS: dict[str, dict[str, Any]] = {
    "default": {
        "GRAPH": "agents.runtime.graphs.react.build",
        "MODEL": AGENT_MODEL,
        "TOOLS": ["agents.tools", *AGENT_TOOLS],
        "POLICY": DEFAULT_POLICY,
        "MEMORY": "memory.strategies.Default",
        "SYSTEM_PROMPT": (
            "You are a helpful assistant. Use the tools when they help. Some tool calls are looked at by a person "
            "before they run; when one is rejected, accept that, tell the user why and do not try the same call again."
        ),
    },
}

# Limits and the admin's login (docs/limits.md). An empty rate, or a 0, switches a limit off.

BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
RATE_PRINCIPAL = env.str("RATE_PRINCIPAL", default="600/min")
# Of an account that may act for any user. One that polls a dozen tasks twice a second makes 1,440 a minute: no limit,
# unless there is one for all principals.
RATE_SERVICE = env.str("RATE_SERVICE", default=env.str("RATE_PRINCIPAL", default=""))
RATE_USER = env.str("RATE_USER", default="120/min")  # of POST /agent/invoke
RATE_ANONYMOUS = env.str("RATE_ANONYMOUS", default="60/min")  # of requests without a valid credential, by address
TASKS_IN_FLIGHT_PER_USER = env.int("TASKS_IN_FLIGHT_PER_USER", default=100)
TASKS_IN_FLIGHT_PER_PRINCIPAL = env.int("TASKS_IN_FLIGHT_PER_PRINCIPAL", default=10_000)
ADMIN_REQUIRE_OTP = env.bool("ADMIN_REQUIRE_OTP", default=False)
vars().update(login_protection(env))

# REST

REST_FRAMEWORK = rest_framework(env, behind_proxy=BEHIND_PROXY)
# Pages of other origins that may call the API from a browser; the admin is never among what they reach.
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/(agent|reviews|pauses|system|health|schema)"
CORS_ALLOW_HEADERS = ["authorization", "content-type", "idempotency-key", "traceparent", "x-request-id"]
CORS_EXPOSE_HEADERS = ["retry-after", "x-request-id"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # bytes of a request's body

# Security

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator"}
    for name in ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
]
LOGIN_URL = "admin:login"
CSRF_FAILURE_VIEW = "agentsite.api.errors.csrf_failure"
SESSION_ENGINE = "core.auth.sessions"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
        "form-action": [SELF],
    },
}
if not DEBUG:
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    LANGUAGE_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^health(/ready)?$"]  # a load balancer asks over plain HTTP
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=True)
    SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=True)

# Mail: written below the data folder unless EMAIL_URL names a server (smtp+tls://user:password@host:587).

EMAIL_FILE_PATH = str(DATA_DIR / "outbox")
if EMAIL_URL := env.str("EMAIL_URL", default=""):
    vars().update(environ.Env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="agentsite@localhost")

# Language, time, static files

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LANGUAGE_COOKIE_AGE = 365 * 86_400  # seconds
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = [BASE_DIR / "agentsite" / "locale"]
FORMAT_MODULE_PATH = ["agentsite.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(DATA_DIR / "static"))
WHITENOISE_USE_FINDERS = True  # the admin's files straight from the packages; `collectstatic` makes it faster

# Observability (docs/observability.md)

LOGGING = logs.config(env.str("LOG_FORMAT", default="line"), env.str("LOG_LEVEL", default="INFO"), os.environ)
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
