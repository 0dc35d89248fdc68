"""The second factor of the admin: who is asked, who is refused, how a device is made."""

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework.test import APIClient

from agentsite.accounts import BACKUP_CODES, create_key, create_second_factor
from core.errors import Conflict

pytestmark = pytest.mark.django_db

PASSWORD = "rita's own"


@pytest.fixture(autouse=True)
def rita(reviewer: User) -> User:
    reviewer.set_password(PASSWORD)
    reviewer.save()
    return reviewer


@pytest.fixture
def device(rita: User) -> TOTPDevice:
    create_second_factor(rita)
    return TOTPDevice.objects.get()


@pytest.fixture
def required(settings: Any) -> None:
    settings.ADMIN_REQUIRE_OTP = True


def code_of(device: TOTPDevice) -> str:
    return f"{totp(device.bin_key):06d}"


def log_in(client: Client, device: Any = None, code: str = "", password: str = PASSWORD) -> Any:
    more = {"otp_device": getattr(device, "persistent_id", device or ""), "otp_token": code}
    return client.post("/admin/login/", {"username": "rita", "password": password, "next": "/admin/", **more})


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


class TestWithoutADevice:
    def test_a_password_is_enough(self, client: Client) -> None:
        assert "otp_token" not in client.get("/admin/login/").content.decode()
        assert log_in(client).status_code == 302
        assert is_in(client)

    def test_where_a_second_factor_is_required_the_login_says_so(self, client: Client, required: None) -> None:
        assert "A second factor is required" in log_in(client).content.decode()
        assert not is_in(client)

    def test_a_wrong_password_does_not_tell_who_has_a_device(self, client: Client, required: None) -> None:
        assert "second factor" not in log_in(client, password="wrong").content.decode()

    def test_a_session_from_before_it_was_required_is_closed(self, client: Client, settings: Any) -> None:
        log_in(client)
        settings.ADMIN_REQUIRE_OTP = True
        assert not is_in(client)
        assert client.get("/reviews").status_code == 401


class TestWithADevice:
    def test_the_password_alone_opens_nothing(self, client: Client, device: TOTPDevice) -> None:
        asked = log_in(client).content.decode()
        assert "Enter the code from your device" in asked
        assert f'value="{device.persistent_id}"' in asked
        assert not is_in(client)

    def test_its_code_opens_the_admin(self, client: Client, device: TOTPDevice) -> None:
        assert log_in(client, device, code_of(device)).status_code == 302
        assert is_in(client)

    def test_also_where_it_is_required(self, client: Client, device: TOTPDevice, required: None) -> None:
        log_in(client, device, code_of(device))
        assert is_in(client)

    def test_a_wrong_code_opens_nothing(self, client: Client, device: TOTPDevice) -> None:
        wrong = f"{(int(code_of(device)) + 1) % 1_000_000:06d}"
        assert "The code is wrong" in log_in(client, device, wrong).content.decode()
        assert not is_in(client)

    def test_a_code_works_once(self, client: Client, device: TOTPDevice) -> None:
        code = code_of(device)
        log_in(Client(), device, code)
        assert "The code is wrong" in log_in(client, device, code).content.decode()

    def test_guessing_is_slowed_down(self, client: Client, device: TOTPDevice) -> None:
        for _ in range(5):
            log_in(Client(), device, "000000")
        assert "Verification temporarily disabled" in log_in(client, device, code_of(device)).content.decode()

    def test_the_code_without_the_password_opens_nothing(self, client: Client, device: TOTPDevice) -> None:
        asked = log_in(client, device, code_of(device), password="wrong").content.decode()
        assert "otp_device" not in asked
        assert not is_in(client)

    def test_a_backup_code_works_once(self, client: Client, device: TOTPDevice) -> None:
        backup, code = StaticDevice.objects.get(), str(StaticToken.objects.values_list("token", flat=True)[0])
        assert log_in(Client(), backup, code).status_code == 302
        assert "The code is wrong" in log_in(client, backup, code).content.decode()

    def test_somebody_elses_device_is_none(self, client: Client, device: TOTPDevice, bob: User) -> None:
        create_second_factor(bob)
        other = TOTPDevice.objects.get(user=bob)
        assert log_in(client, other, code_of(other)).status_code == 200
        assert not is_in(client)

    def test_an_unconfirmed_device_is_none(self, client: Client, device: TOTPDevice, rita: User) -> None:
        draft = TOTPDevice.objects.create(user=rita, name="draft", confirmed=False)
        log_in(client, draft, code_of(draft))
        assert not is_in(client)

    @pytest.mark.parametrize("name", ["", "x", "auth.user/1", "otp_totp.totpdevice/x", "a/b/c", "a.b.c/1"])
    def test_what_is_no_device_is_none(self, client: Client, device: TOTPDevice, name: str) -> None:
        assert "Please select a device" in log_in(client, name, code_of(device)).content.decode()

    def test_who_only_has_an_unconfirmed_one_is_not_asked(self, client: Client, rita: User) -> None:
        TOTPDevice.objects.create(user=rita, name="draft", confirmed=False)
        assert log_in(client).status_code == 302

    def test_when_it_is_taken_away_its_session_ends(self, client: Client, device: TOTPDevice, required: None) -> None:
        log_in(client, device, code_of(device))
        device.delete()
        assert not is_in(client)


class TestRest:
    def test_a_verified_session_is_let_through(self, client: Client, device: TOTPDevice, required: None) -> None:
        log_in(client, device, code_of(device))
        assert client.get("/reviews").status_code == 200

    def test_a_session_without_it_is_refused(self, client: Client, rita: User, required: None) -> None:
        client.force_login(rita)
        refused = client.get("/reviews")
        assert (refused.status_code, refused.json()["code"]) == (401, "second_factor_required")

    def test_a_session_is_enough_where_none_is_required(self, client: Client, rita: User) -> None:
        client.force_login(rita)
        assert client.get("/reviews").status_code == 200

    def test_a_key_needs_none(self, rita: User, required: None) -> None:
        key = create_key(rita, "test")
        assert APIClient().get("/reviews", headers={"Authorization": f"Bearer {key}"}).status_code == 200

    def test_an_outsider_is_refused_as_before(self, client: Client, required: None) -> None:
        assert client.get("/reviews").json()["code"] == "not_authenticated"


class TestCommand:
    def create(self, *arguments: str) -> str:
        output = StringIO()
        call_command("create_otp_device", *arguments, stdout=output, stderr=StringIO())
        return output.getvalue()

    def test_it_shows_the_address_its_qr_code_and_the_backup_codes(self) -> None:
        shown = self.create("rita")
        assert shown.startswith(TOTPDevice.objects.get().config_url + "\n")
        assert shown.startswith("otpauth://totp/Agentsite%3Arita?secret=")
        assert "█" in shown
        assert all(token.token in shown for token in StaticToken.objects.all())

    def test_the_devices_are_the_users(self, rita: User) -> None:
        self.create("rita")
        assert TOTPDevice.objects.get().user == StaticDevice.objects.get().user == rita
        assert StaticToken.objects.count() == BACKUP_CODES

    def test_a_second_one_is_refused(self) -> None:
        self.create("rita")
        with pytest.raises(CommandError, match=r"already.* --replace"):
            self.create("rita")
        assert TOTPDevice.objects.count() == 1

    def test_replacing_takes_the_older_ones_away(self, device: TOTPDevice) -> None:
        self.create("rita", "--replace")
        assert TOTPDevice.objects.get().key != device.key
        assert StaticDevice.objects.count() == 1

    def test_an_unknown_user_is_an_error(self) -> None:
        with pytest.raises(CommandError, match="no user 'nobody'"):
            self.create("nobody")

    def test_the_service_says_conflict(self, rita: User, device: TOTPDevice) -> None:
        with pytest.raises(Conflict):
            create_second_factor(rita)


class TestAdmin:
    PAGES = ("otp_totp/totpdevice", "otp_static/staticdevice")

    @pytest.mark.parametrize("page", PAGES)
    def test_devices_are_listed_and_shown_without_their_secrets(
        self, admin_client: Client, device: TOTPDevice, page: str
    ) -> None:
        secrets = [device.key, device.config_url, *StaticToken.objects.values_list("token", flat=True)]
        pk = device.pk if "totp" in page else StaticDevice.objects.get().pk
        for address in (f"/admin/{page}/", f"/admin/{page}/{pk}/change/"):
            content = admin_client.get(address).content.decode()
            assert "rita" in content
            assert not [secret for secret in secrets if secret in content]

    @pytest.mark.parametrize("page", PAGES)
    def test_none_is_made_or_changed_there(self, admin_client: Client, device: TOTPDevice, page: str) -> None:
        pk = device.pk if "totp" in page else StaticDevice.objects.get().pk
        assert admin_client.get(f"/admin/{page}/add/").status_code == 403
        assert admin_client.post(f"/admin/{page}/{pk}/change/", {"name": "x"}).status_code == 403

    def test_the_qr_code_is_not_shown_again(self, admin_client: Client, device: TOTPDevice) -> None:
        assert admin_client.get(f"/admin/otp_totp/totpdevice/{device.pk}/qrcode/").status_code == 403

    def test_a_lost_one_is_taken_away(self, admin_client: Client, device: TOTPDevice) -> None:
        admin_client.post(f"/admin/otp_totp/totpdevice/{device.pk}/delete/", {"post": "yes"})
        assert not TOTPDevice.objects.exists()

    def test_the_index_says_what_they_are(self, admin_client: Client) -> None:
        content = admin_client.get("/admin/").content.decode()
        assert "Second factor: authenticators" in content
        assert "OTP_" not in content

    def test_reviewers_see_nothing_of_it(self, client: Client, rita: User, device: TOTPDevice) -> None:
        log_in(client, device, code_of(device))
        assert "Second factor" not in client.get("/admin/").content.decode()
        assert client.get("/admin/otp_totp/totpdevice/").status_code == 403
