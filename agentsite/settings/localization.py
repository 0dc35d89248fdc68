"""Languages, time zone, static files."""

from agentsite.settings.base import BASE_DIR, DATA_DIR, env

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
WHITENOISE_USE_FINDERS = True  # serve the admin's files from the packages; `collectstatic` makes it faster
