"""Endpoints, subscriptions and deliveries in the admin."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from standardwebhooks import Webhook

from notifications import outbox
from notifications.delivery import deliver_due
from notifications.models import Delivery, Endpoint, Subscription
from tests.support.accounts import grant, pages_of
from tests.support.receiver import Receiver, subscribed

pytestmark = pytest.mark.django_db(transaction=True)

ENDPOINTS = "/admin/notices/endpoint/"
DELIVERIES = "/admin/notices/delivery/"
SUBSCRIPTIONS = "/admin/notices/subscription/"


@pytest.fixture
def admin(db: Any) -> Client:
    return pages_of(User.objects.create_superuser("root"))


def staff(*names: str) -> Client:
    return pages_of(grant(User.objects.create_user("vera", is_staff=True), *names))


def page(row: Any) -> str:
    return f"/admin/notices/{row._meta.model_name}/{row.pk}/change/"


def act(client: Client, path: str, action: str, *rows: Any) -> Any:
    return client.post(path, {"action": action, "_selected_action": [str(row.pk) for row in rows]}, follow=True)


# Endpoints


def test_one_is_made_with_a_secret_that_is_shown_to_who_may_change_it(admin: Client, receiver: Receiver) -> None:
    body = {"name": "crm", "url": receiver.url, "events": ["review.new"], "user": "*", "active": "on"}
    assert admin.post(f"{ENDPOINTS}add/", body).status_code == 302
    made = Endpoint.objects.get()
    assert made.secret.startswith("whsec_")
    assert made.secret in admin.get(page(made)).content.decode()


def test_who_may_only_look_sees_no_secret(endpoint: Endpoint) -> None:
    shown = staff("notices.view_endpoint").get(page(endpoint)).content.decode()
    assert endpoint.name in shown
    assert endpoint.secret not in shown


def test_nor_is_there_one_in_the_list(admin: Client, endpoint: Endpoint) -> None:
    shown = admin.get(ENDPOINTS).content.decode()
    assert endpoint.url in shown
    assert endpoint.secret not in shown


def test_an_address_inside_is_refused_with_the_reason(admin: Client, receiver: Receiver) -> None:
    body = {"name": "crm", "url": "https://10.0.0.1/", "events": ["review.new"], "user": "*", "active": "on"}
    assert "not on the public internet" in admin.post(f"{ENDPOINTS}add/", body).content.decode()
    assert not Endpoint.objects.exists()


def test_a_test_is_sent_by_a_worker_and_seen_in_the_deliveries(
    admin: Client, endpoint: Endpoint, receiver: Receiver
) -> None:
    act(admin, ENDPOINTS, "send_test", endpoint)
    assert receiver.got == []
    deliver_due()
    assert len(receiver.got) == 1
    assert "204" in admin.get(page(Delivery.objects.get())).content.decode()


def test_a_new_secret_is_made_by_the_action(admin: Client, endpoint: Endpoint, receiver: Receiver) -> None:
    act(admin, ENDPOINTS, "make_new_secret", endpoint)
    made = Endpoint.objects.get()
    assert made.secret != endpoint.secret
    outbox.send_test(made)
    deliver_due()
    Webhook(made.secret).verify(receiver.got[0].body, receiver.got[0].headers)


def test_one_that_leads_nowhere_any_more_can_be_switched_off(admin: Client, endpoint: Endpoint) -> None:
    body = {"name": "crm", "url": "https://gone.invalid/", "events": ["review.new"], "user": "*"}
    admin.post(page(endpoint), body)
    assert not Endpoint.objects.get().active
    admin.post(page(endpoint), {**body, "active": "on"})
    assert not Endpoint.objects.get().active


def test_switched_on_again_it_has_no_note(admin: Client, endpoint: Endpoint) -> None:
    Endpoint.objects.update(active=False, note="Switched off: the receiver answered 410 Gone.")
    assert "410 Gone" in admin.get(page(endpoint)).content.decode()
    body = {"name": "crm", "url": endpoint.url, "events": ["review.new"], "user": "*", "active": "on"}
    admin.post(page(endpoint), body)
    assert (Endpoint.objects.get().active, Endpoint.objects.get().note) == (True, "")


def test_it_can_be_deleted_with_its_deliveries(admin: Client, endpoint: Endpoint) -> None:
    outbox.send_test(endpoint)
    admin.post(f"{ENDPOINTS}{endpoint.pk}/delete/", {"post": "yes"})
    assert not Endpoint.objects.exists()
    assert not Delivery.objects.exists()


# Deliveries


def test_a_failed_one_is_sent_again_by_the_action(
    admin: Client, endpoint: Endpoint, receiver: Receiver, settings: Any
) -> None:
    settings.NOTICE_TRIES = 1
    receiver.answers = [(500, {})]
    made = outbox.send_test(endpoint)
    deliver_due()
    assert Delivery.objects.get().status == "failed"
    act(admin, DELIVERIES, "send_again", made)
    deliver_due()
    assert (Delivery.objects.get().status, Delivery.objects.get().attempts) == ("sent", 2)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1


def test_who_may_only_look_can_not_send_again(endpoint: Endpoint) -> None:
    made = outbox.send_test(endpoint)
    Delivery.objects.update(status="failed")
    client = staff("notices.view_delivery")
    assert client.get(page(made)).status_code == 200
    act(client, DELIVERIES, "send_again", made)
    assert Delivery.objects.get().status == "failed"


def test_they_are_found_by_status_and_by_any_of_their_ids(admin: Client, endpoint: Endpoint, ask: Any) -> None:
    review = ask()
    made = Delivery.objects.get()
    for query in ("?status=pending", "?event=review.new", f"?endpoint__id__exact={endpoint.pk}"):
        assert str(made.pk) in admin.get(DELIVERIES + query).content.decode()
    for key in (made.pk, review.pk, review.task_id):
        assert str(made.pk) in admin.get(f"{DELIVERIES}?q={key}").content.decode()
    assert str(made.pk) not in admin.get(f"{DELIVERIES}?q=else").content.decode()


def test_nothing_of_them_can_be_changed(admin: Client, endpoint: Endpoint) -> None:
    made = outbox.send_test(endpoint)
    assert admin.post(page(made), {"status": "sent"}).status_code == 403
    assert admin.get(f"{DELIVERIES}add/").status_code == 403


def test_what_is_sent_is_shown_to_who_may_see_what_it_is_about(endpoint: Endpoint, booking: Any) -> None:
    made = Delivery.objects.get(event="review.new")
    shown = staff("notices.view_delivery").get(page(made)).content.decode()
    assert ("book_hotel" in shown, "have permission to view the content." in shown) == (False, True)
    User.objects.get(username="vera").delete()
    assert "book_hotel" in staff("notices.view_delivery", "reviews.decide_review").get(page(made)).content.decode()


@pytest.mark.parametrize("path", [ENDPOINTS, DELIVERIES])
def test_without_the_permission_they_are_closed(desk: Client, path: str) -> None:
    assert desk.get(path).status_code == 403


# Subscriptions


def test_everybody_in_the_admin_can_subscribe_for_themselves(desk: Client, reviewer: User) -> None:
    assert desk.get(SUBSCRIPTIONS)["Location"] == f"{SUBSCRIPTIONS}add/"
    desk.post(f"{SUBSCRIPTIONS}add/", {"events": ["review.new"], "language": "en"})
    made = Subscription.objects.get()
    assert (made.user, made.events) == (reviewer, ["review.new"])
    assert desk.get(SUBSCRIPTIONS)["Location"] == page(made)


def test_for_nobody_else(desk: Client, bob: User, reviewer: User) -> None:
    body = {"events": ["review.new"], "language": "en", "user": str(bob.pk)}
    desk.post(f"{SUBSCRIPTIONS}add/", body)
    assert Subscription.objects.get().user == reviewer
    assert desk.post(f"{SUBSCRIPTIONS}add/", body)["Location"] == page(Subscription.objects.get())


def test_nobody_sees_or_changes_that_of_another(desk: Client, bob: User) -> None:
    subscribed(bob)
    other = Subscription.objects.get()
    for path in (page(other), f"{SUBSCRIPTIONS}{other.pk}/delete/"):
        desk.post(path, {"post": "yes", "events": [], "language": "en"})
        assert "bob" not in desk.get(path, follow=True).content.decode()
    assert len(Subscription.objects.get().events) == 7


def test_one_ends_by_being_deleted(desk: Client, rita: User) -> None:
    desk.post(f"{SUBSCRIPTIONS}{rita.notices.pk}/delete/", {"post": "yes"})
    assert not Subscription.objects.exists()


def test_without_an_address_it_says_so(desk: Client, reviewer: User) -> None:
    response = desk.post(f"{SUBSCRIPTIONS}add/", {"events": ["review.new"], "language": "en"}, follow=True)
    assert "no email address" in response.content.decode()


def test_who_manages_them_sees_all_and_makes_them_for_others(admin: Client, bob: User, rita: User) -> None:
    admin.post(f"{SUBSCRIPTIONS}add/", {"user": bob.pk, "events": ["task.error"], "language": "zh-hans"})
    shown = admin.get(SUBSCRIPTIONS).content.decode()
    assert "bob" in shown
    assert "rita@example.com" in shown


def test_a_stranger_is_asked_to_log_in(ann: User) -> None:
    assert pages_of(ann).get(SUBSCRIPTIONS).status_code == 302
