"""Django's applications, middleware and templates."""

from agentsite.settings.base import BASE_DIR

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
    "agentsite.middleware.browsers.Sessions",
    "agentsite.middleware.readers.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "agentsite.middleware.browsers.Authentication",
    "django_otp.middleware.OTPMiddleware",
    "agentsite.middleware.browsers.Messages",
    "agentsite.api.errors.AdminAddresses",
    "agentsite.middleware.readers.time_zone",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "agentsite.urls"
WSGI_APPLICATION = "agentsite.wsgi.application"
APPEND_SLASH = False
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # so that our templates can override those of widgets
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "agentsite" / "templates"],  # overrides the base templates of django.contrib.admin
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
