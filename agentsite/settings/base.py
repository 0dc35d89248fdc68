"""Basic settings that the others build on: environment, data folder, secret key, hosts."""

import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

# Otherwise loading a crafted checkpoint could run arbitrary code. LangGraph reads this variable when it is imported.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"Can't create the folder {folder} ({error.strerror}). Set AGENTSITE_DATA to a writable folder."
        ) from error


env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent.parent
DATA_DIR = Path(env.str("AGENTSITE_DATA", default=str(BASE_DIR / "var"))).resolve()

make_folder(DATA_DIR)

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "Set SECRET_KEY to at least 50 random characters. On your own machine, you can set DEBUG=true instead."
        )
    SECRET_KEY = "insecure-development-key-that-only-debug-mode-accepts-0123456789"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PORT = env.int("PORT", default=8000)
