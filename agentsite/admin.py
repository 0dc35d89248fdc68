"""What other packages register in the admin, put right for this service."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from django_otp.plugins.otp_static.admin import StaticDeviceAdmin
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.admin import TOTPDeviceAdmin
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework_api_key.models import APIKey

from agents.admin import ReadOnly

# Keys of that model would open nothing: ours, which belong to a user, stand under "Access".
admin.site.unregister(APIKey)
admin.site.unregister(GroupResult)
admin.site.unregister(TaskResult)
admin.site.unregister(TOTPDevice)
admin.site.unregister(StaticDevice)


@admin.register(TaskResult)
class FailedJobAdmin(ReadOnly, TaskResultAdmin):
    """Jobs that ended in an exception: of those that went well nothing is kept. Nothing to add or change here."""


class DeviceAdmin(ReadOnly):
    """Second factors are made by a command and shown to nobody: here a lost one is only taken away."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Source: django.contrib.admin. That of Django, not of ReadOnly."""
        return super(ReadOnly, self).has_delete_permission(request, obj)  # type: ignore[misc]


@admin.register(TOTPDevice)
class AuthenticatorAdmin(DeviceAdmin, TOTPDeviceAdmin):
    """Authenticator apps. The key is hidden (OTP_ADMIN_HIDE_SENSITIVE_DATA)."""


@admin.register(StaticDevice)
class BackupCodesAdmin(DeviceAdmin, StaticDeviceAdmin):
    """Backup codes. The codes are hidden."""
