"""The first start on one's own machine: its accounts, the file that remembers them, and `manage.py dev` as a whole."""

import json
import stat

import pytest
from django.contrib.auth.models import Permission, User

from core.errors import NotFound
from core.models import ApiKey
from devserver.first_run import FILE_NAME, is_first_run, make_first_accounts, write_secret
from devserver.processes import environment, needs_rule_model, parts

URL = "http://127.0.0.1:8000"


def owner_of(key: str) -> str:
    return User.objects.get(api_keys__pk=ApiKey.objects.get_from_key(key).pk).username


@pytest.mark.django_db
class TestAccounts:
    def test_a_run_is_the_first_while_nobody_has_an_account(self):
        assert is_first_run()
        User.objects.create_user("somebody")
        assert not is_first_run()

    def test_admin_may_do_everything(self, client, tmp_path):
        made = make_first_accounts(URL, tmp_path)
        assert client.login(username=made.admin_user, password=made.admin_password)
        assert User.objects.get(username=made.admin_user).is_superuser

    def test_reviewer_decides_reviews_and_sees_what_they_are_about(self, client, tmp_path):
        made = make_first_accounts(URL, tmp_path)
        reviewer = User.objects.get(username=made.reviewer_user)
        assert client.login(username=made.reviewer_user, password=made.reviewer_password)
        assert reviewer.is_staff
        assert reviewer.has_perms(["reviews.decide_review", "reviews.view_review", "agents.view_task"])

    def test_reviewer_changes_nothing_else(self, tmp_path):
        made = make_first_accounts(URL, tmp_path)
        allowed = User.objects.get(username=made.reviewer_user).get_all_permissions()
        assert {name for name in allowed if ".view_" not in name} == {"reviews.decide_review"}
        assert "agents.view_system" not in allowed

    def test_service_acts_for_any_user_and_can_not_log_in(self, tmp_path):
        make_first_accounts(URL, tmp_path)
        service = User.objects.get(username="service")
        assert service.get_all_permissions() == {"agents.act_for_any_user"}
        assert not service.has_usable_password()

    def test_the_keys_are_those_of_the_service_and_the_reviewer(self, tmp_path):
        made = make_first_accounts(URL, tmp_path)
        assert owner_of(made.service_key) == "service"
        assert owner_of(made.reviewer_key) == "reviewer"

    def test_no_two_secrets_are_alike(self, tmp_path):
        made = make_first_accounts(URL, tmp_path)
        assert len({made.admin_password, made.reviewer_password, made.reviewer_key, made.service_key}) == 4

    def test_the_file_holds_all_of_it_for_its_owner_only(self, tmp_path):
        made = make_first_accounts(URL, tmp_path)
        file = tmp_path / FILE_NAME
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text()) == {
            "url": URL,
            "admin_user": "admin",
            "admin_password": made.admin_password,
            "reviewer_user": "reviewer",
            "reviewer_password": made.reviewer_password,
            "reviewer_key": made.reviewer_key,
            "service_key": made.service_key,
        }

    def test_no_account_is_made_when_the_file_can_not_be_written(self, tmp_path):
        with pytest.raises(OSError, match="No such file"):
            make_first_accounts(URL, tmp_path / "missing")
        assert is_first_run()

    def test_a_missing_permission_is_named_and_nothing_is_made(self, tmp_path):
        Permission.objects.filter(codename="decide_review").delete()
        with pytest.raises(NotFound, match=r"reviews\.decide_review"):
            make_first_accounts(URL, tmp_path)
        assert is_first_run()
        assert not (tmp_path / FILE_NAME).exists()


class TestSecretFile:
    def test_an_older_file_that_others_could_read_is_replaced(self, tmp_path):
        file = tmp_path / "secret"
        file.touch(mode=0o644)
        write_secret(file, "new")
        assert file.read_text() == "new"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_a_link_is_not_followed(self, tmp_path):
        (tmp_path / "elsewhere").write_text("old")
        (tmp_path / "secret").symlink_to(tmp_path / "elsewhere")
        write_secret(tmp_path / "secret", "new")
        assert (tmp_path / "elsewhere").read_text() == "old"
        assert (tmp_path / "secret").read_text() == "new"

    def test_nothing_is_left_when_writing_fails(self, tmp_path):
        (tmp_path / "secret").mkdir()
        with pytest.raises(OSError, match="directory"):
            write_secret(tmp_path / "secret", "new")
        assert [path.name for path in tmp_path.iterdir()] == ["secret"]


class TestParts:
    @pytest.fixture(autouse=True)
    def _nothing_configured(self, settings, monkeypatch):
        settings.OPENAI_API_KEY = settings.OPENAI_BASE_URL = ""
        for name in ("AGENT_MODEL", "OPENAI_API_BASE", "NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)

    def test_the_rule_model_runs_when_no_model_is_configured(self, settings):
        assert needs_rule_model()
        settings.OPENAI_BASE_URL = "http://127.0.0.1:11434/v1"
        assert not needs_rule_model()

    def test_the_rule_model_does_not_run_for_another_providers_model(self, settings):
        settings.AGENT_MODEL = "anthropic:claude-sonnet"
        assert not needs_rule_model()

    def test_each_worker_process_has_a_name_of_its_own(self, settings):
        settings.WORKER_PROCESSES = 2
        made = parts("127.0.0.1", 8000, None)
        assert [part.name for part in made] == ["web", "worker1", "worker2"]
        assert "worker1-8000@%h" in made[1].command
        assert "worker2-8000@%h" in made[2].command

    def test_the_rule_model_stops_after_the_workers_that_ask_it(self):
        assert [part.name for part in parts("127.0.0.1", 8000, 21_000) if part.last] == ["model"]

    def test_workers_find_the_rule_model_past_any_proxy(self, monkeypatch):
        monkeypatch.setenv("NO_PROXY", "intranet")
        made = environment(8000, 21_000)
        assert made["OPENAI_BASE_URL"] == "http://127.0.0.1:21000/v1"
        assert made["AGENT_MODEL"] == "openai:demo"
        assert made["NO_PROXY"] == "intranet,127.0.0.1"

    def test_a_configured_model_is_left_alone(self):
        assert not {"OPENAI_BASE_URL", "OPENAI_API_KEY", "AGENT_MODEL"} & environment(8000, None).keys()
