"""Limits and the admin's login (docs/limits.md). An empty rate, or a 0, switches a limit off.

django-axes locks out who guesses passwords, django-otp asks for a second factor.
"""

from datetime import timedelta
from typing import Any

import environ

from agentsite.settings.base import env

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
        "AXES_CLIENT_IP_CALLABLE": "core.api.addresses.client_address",
        "AXES_LOCKOUT_CALLABLE": "agentsite.console.site.locked_out",
        "AXES_ENABLE_ADMIN": False,
        "AXES_DISABLE_ACCESS_LOG": True,  # a row a login, for ever; Django keeps `last_login`
        "AXES_VERBOSE": False,
        # People type their password into the wrong field. The address stays: the operator needs it.
        "AXES_SENSITIVE_PARAMETERS": ["username", "otp_token", "csrfmiddlewaretoken"],
        "OTP_TOTP_ISSUER": "Agentsite",
        "OTP_ADMIN_HIDE_SENSITIVE_DATA": True,  # whoever sees a key or a backup code is that person
    }


vars().update(login_protection(env))
