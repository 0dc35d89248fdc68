"""Admin registrations of other packages, adapted to this service."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from django_otp.plugins.otp_static.admin import StaticDeviceAdmin
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.admin import TOTPDeviceAdmin
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework_api_key.models import APIKey
from typing_extensions import override

from core.admin_tools import ReadOnly

# Keys of this model are not accepted. Our own, which belong to a user, are listed under "Access".
admin.site.unregister(APIKey)
admin.site.unregister(GroupResult)
admin.site.unregister(TaskResult)
admin.site.unregister(TOTPDevice)
admin.site.unregister(StaticDevice)
admin.site.unregister(User)
admin.site.unregister(Group)

RIGHTS = {
    "add": _("Can add %(model)s"),
    "change": _("Can change %(model)s"),
    "delete": _("Can delete %(model)s"),
    "view": _("Can view %(model)s"),
}


class PermissionsField(forms.ModelMultipleChoiceField):
    """Field that shows permissions in the user's language, because Django stores their names in English."""

    @override
    def label_from_instance(self, obj: Permission) -> str:
        action, _sep, model = obj.codename.partition("_")
        kind = obj.content_type
        if action in RIGHTS and model == kind.model:
            return f"{kind} | {RIGHTS[action] % {'model': kind.name}}"
        return f"{kind} | {gettext(obj.name)}"


class WithPermissions:
    """Mixin for admins whose forms list permissions."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.related_model is Permission:
            kwargs["form_class"] = PermissionsField
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]


@admin.register(User)
class PeopleAdmin(WithPermissions, UserAdmin):
    """Accounts of people and services."""


@admin.register(Group)
class GroupsAdmin(WithPermissions, GroupAdmin):  # type: ignore[misc]
    """Groups of accounts."""


@admin.register(TaskResult)
class FailedJobAdmin(ReadOnly, TaskResultAdmin):
    """Read-only list of jobs that ended in an exception. Results of successful jobs are not stored."""


class DeviceAdmin(ReadOnly):
    """Admin for second factors, which only allows deleting a lost one. A management command creates them."""

    search_fields = ("user__username",)  # not the e-mail address, which the page does not show
    search_help_text = _("The username of the user.")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Translate the headings, which django-otp does not mark for translation."""
        found = super().get_fieldsets(request, obj)  # type: ignore[misc]
        return [(name and gettext(name), options) for name, options in found]

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return Django's own answer, skipping ReadOnly."""
        return super(ReadOnly, self).has_delete_permission(request, obj)  # type: ignore[misc]


@admin.register(TOTPDevice)
class AuthenticatorAdmin(DeviceAdmin, TOTPDeviceAdmin):
    """Authenticator apps. The key is hidden (OTP_ADMIN_HIDE_SENSITIVE_DATA)."""


@admin.register(StaticDevice)
class BackupCodesAdmin(DeviceAdmin, StaticDeviceAdmin):
    """Backup codes. The codes are hidden."""

    @override
    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """List only the devices. Their codes are deleted with them, but the ids of codes mean nothing to a reader."""
        _all, counts, needed, protected = super().get_deleted_objects(objs, request)
        return [str(device) for device in objs], counts, needed, protected
