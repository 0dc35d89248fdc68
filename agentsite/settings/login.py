"""Settings of the admin's login: django-axes locks out who guesses passwords, django-otp asks for a second factor.

Read by settings.py, so nothing here may need Django to be set up.
"""

from datetime import timedelta
from typing import Any

import environ


def login_protection(env: environ.Env) -> dict[str, Any]:
    """The settings AXES_*, OTP_* and AUTHENTICATION_BACKENDS."""
    failures = env.int("AXES_FAILURE_LIMIT", default=5)
    return {
        "AUTHENTICATION_BACKENDS": [
            "axes.backends.AxesStandaloneBackend",
            "core.auth.backends.OneQueryBackend",
        ],
        "AXES_ENABLED": failures > 0,
        "AXES_FAILURE_LIMIT": failures,
        "AXES_COOLOFF_TIME": timedelta(minutes=env.int("AXES_COOLOFF_MINUTES", default=15)),
        # Both together: a stranger can't lock a reviewer out, nor one forgetful person a whole office.
        "AXES_LOCKOUT_PARAMETERS": [["username", "ip_address"]],
        "AXES_RESET_ON_SUCCESS": True,
        "AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT": False,  # else a script that goes on trying never gets out
        "AXES_CLIENT_IP_CALLABLE": "core.addresses.client_address",
        "AXES_LOCKOUT_CALLABLE": "agentsite.console.site.locked_out",
        "AXES_ENABLE_ADMIN": False,
        "AXES_DISABLE_ACCESS_LOG": True,  # a row a login, for ever; Django keeps `last_login`
        "AXES_VERBOSE": False,
        # People type their password into the wrong field. The address stays: the operator needs it.
        "AXES_SENSITIVE_PARAMETERS": ["username", "otp_token", "csrfmiddlewaretoken"],
        "OTP_TOTP_ISSUER": "Agentsite",
        "OTP_ADMIN_HIDE_SENSITIVE_DATA": True,  # whoever sees a key or a backup code is that person
    }
