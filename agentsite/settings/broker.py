"""Celery, its broker and the cache: files and memory, or Redis if REDIS_URL is set.

CELERY_BROKER_URL takes the jobs elsewhere: to RabbitMQ, to a Redis behind Sentinel, or to another Redis.

Messages are acknowledged early and the broker does not redeliver them, because lease, token and sweeper recover tasks
(docs/explanation/execution.md).
"""

from typing import Any

from agentsite.settings.base import DATA_DIR, env, make_folder

REDIS_URL = env.str("REDIS_URL", default="")
REDIS_PREFIX = env.str("REDIS_PREFIX", default="agentsite:")
_FILES = "filesystem://"
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="") or REDIS_URL or _FILES
# From the first URL's scheme; `manage.py check` reports those that can't be used. Several URLs are separated by ";".
_scheme = CELERY_BROKER_URL.partition("://")[0].lower()
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = True
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
_POOLS = {"threads": "agents.worker.pool:TaskPool"}
CELERY_WORKER_POOL = _POOLS.get(_pool := env.str("WORKER_POOL", default="threads"), _pool)
# Tasks at once. Most wait for their model, which costs a thread little memory and no connection; a forked process costs
# 85 MB, and SQLite has one writer at a time.
_many = 16 if CELERY_BROKER_URL == _FILES else 200
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=_many if _pool == "threads" else 8)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # a worker must survive a command that the broker refuses
CELERY_WORKER_CONSUMER = "agents.worker.consumer:Consumer"
CELERY_TIMEZONE = "UTC"
WEB_THREADS = env.int("WEB_THREADS", default=8)
WORKER_PROCESSES = env.int("WORKER_PROCESSES", default=1)
REDIS_TRANSPORT_OPTIONS: dict[str, Any] = {
    # A client waits for its 202 while a job is published. Short tries are enough, because the sweeper publishes again.
    "socket_timeout": 3,
    "socket_connect_timeout": 3,
    "retry_on_timeout": False,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "global_keyprefix": REDIS_PREFIX,
    # Drop connections that hang, also those that workers listen on: seconds between health checks, and TCP keepalive.
    "health_check_interval": 5,
    "socket_keepalive": True,
}
# RabbitMQ (amqp, amqps). The same limits: `connect_timeout` also bounds the handshake, the other two every answer.
_ANSWER_SECONDS = 3
AMQP_TRANSPORT_OPTIONS: dict[str, Any] = {
    "read_timeout": _ANSWER_SECONDS,
    "write_timeout": _ANSWER_SECONDS,
    "confirm_publish": True,  # otherwise a job that a dead connection swallows would count as published
}
if _scheme in ("redis", "rediss", "sentinel"):
    CELERY_WORKER_DISABLE_PREFETCH = True  # a job prefetched by a busy worker would wait while other workers are free
    CELERY_BROKER_TRANSPORT_OPTIONS = REDIS_TRANSPORT_OPTIONS
    if _scheme == "sentinel":
        CELERY_BROKER_TRANSPORT_OPTIONS = {
            **REDIS_TRANSPORT_OPTIONS,
            "master_name": env.str("REDIS_SENTINEL_MASTER", default="mymaster"),
        }
elif CELERY_BROKER_URL == _FILES:
    BROKER_DIR = DATA_DIR / "broker"
    CELERY_BROKER_TRANSPORT = "agents.message_files:Transport"
    CELERY_WORKER_DISABLE_PREFETCH = False  # supported only with Redis
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "control_folder": str(BROKER_DIR / "control"),
        # In our own folder, because kombu otherwise uses the system's temp directory. The sweeper empties it.
        "store_processed": True,
        "processed_folder": str(BROKER_DIR / "processed"),
        "unreadable_folder": str(BROKER_DIR / "unreadable"),
        "polling_interval": 0.1,
    }
    for _folder in ("queue", "control", "processed"):
        make_folder(BROKER_DIR / _folder)
else:
    CELERY_WORKER_DISABLE_PREFETCH = False  # supported only with Redis; agents.worker.consumer reserves one job at most
    CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # its queues are transient and shared, which RabbitMQ has deprecated
    CELERY_BROKER_TRANSPORT_OPTIONS = AMQP_TRANSPORT_OPTIONS
    CELERY_BROKER_CONNECTION_TIMEOUT = _ANSWER_SECONDS
    CELERY_BROKER_HEARTBEAT = 10  # seconds; a worker notices within two of them that its connection is dead
    CELERY_TASK_DEFAULT_QUEUE_TYPE = env.str("RABBITMQ_QUEUE_TYPE", default="classic")
if REDIS_URL:
    CACHES: dict[str, Any] = {
        "default": {
            "BACKEND": "core.db.cache.TolerantRedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": REDIS_TRANSPORT_OPTIONS["global_keyprefix"],
        }
    }
else:
    # More entries than there are clients: a full cache drops a third of its entries, and with them rate limit counts.
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 20_000}}
    }
