"""Rate limits and the admin's login (docs/how-to/limits.md). An empty rate, or a 0, switches a limit off.

django-axes locks out clients that guess passwords. django-otp asks for a second factor.
"""

from datetime import timedelta

from agentsite.settings.base import env

BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
RATE_PRINCIPAL = env.str("RATE_PRINCIPAL", default="600/min")
# Of an account that may act for any user. Unlimited unless RATE_PRINCIPAL is set, because an application that polls a
# dozen tasks twice a second makes 1,440 requests a minute.
RATE_SERVICE = env.str("RATE_SERVICE", default=env.str("RATE_PRINCIPAL", default=""))
RATE_USER = env.str("RATE_USER", default="120/min")  # of POST /agent/invoke
RATE_ANONYMOUS = env.str("RATE_ANONYMOUS", default="60/min")  # of requests without a valid credential, by address
# Longest time for which a process may go on with an API key, a permission, a budget or a pause of calls to the model
# that has changed since it read it. 0: it reads them each time. Rules, and pauses of tool calls and of tasks that
# begin, are always read.
STALENESS_SECONDS = env.float("STALENESS_SECONDS", default=2.0)
TASKS_IN_FLIGHT_PER_USER = env.int("TASKS_IN_FLIGHT_PER_USER", default=100)
TASKS_IN_FLIGHT_PER_PRINCIPAL = env.int("TASKS_IN_FLIGHT_PER_PRINCIPAL", default=10_000)
MAX_STREAMS = env.int("MAX_STREAMS", default=2_000)  # open at once in one web process
# Seconds between two comments in a quiet stream, which keep its connection open. With each, rights are checked again.
STREAM_HEARTBEAT_SECONDS = env.float("STREAM_HEARTBEAT_SECONDS", default=10.0)
ADMIN_REQUIRE_OTP = env.bool("ADMIN_REQUIRE_OTP", default=False)

# The admin's login

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "agentsite.core.backends.OneQueryBackend",  # its former path, which sessions hold (core.deprecation)
]
AXES_FAILURE_LIMIT = env.int("AXES_FAILURE_LIMIT", default=5)
AXES_ENABLED = AXES_FAILURE_LIMIT > 0
AXES_COOLOFF_TIME = timedelta(minutes=env.int("AXES_COOLOFF_MINUTES", default=15))
# In combination, so that a stranger can't lock out a reviewer, nor one forgetful user a whole office.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or a script that keeps trying stays locked out
AXES_CLIENT_IP_CALLABLE = "core.api.addresses.client_address"
AXES_LOCKOUT_CALLABLE = "agentsite.console.site.locked_out"
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True  # it keeps one row per login forever; Django stores `last_login`
AXES_VERBOSE = False
# People type their password into the username field. The IP address stays, because the operator needs it.
AXES_SENSITIVE_PARAMETERS = ["username", "otp_token", "csrfmiddlewaretoken"]
OTP_TOTP_ISSUER = "Agentsite"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True  # a key or backup code lets anyone who sees it log in as that user
