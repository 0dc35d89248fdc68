"""Deliveries by webhook, signed according to Standard Webhooks (https://www.standardwebhooks.com)."""

from datetime import UTC, datetime

from django.conf import settings
from django.utils.translation import gettext_noop as _
from standardwebhooks import Webhook

from core.version import VERSION
from notifications.delivery_results import Outcome, dropped, sent
from notifications.models import Delivery, Endpoint
from notifications.transports import http_client

GONE = 410
GONE_NOTE = _("Switched off: the receiver answered 410 Gone.")


def send(delivery: Delivery) -> Outcome:
    """Post the delivery once. Raises what `http_client.post` raises."""
    endpoint = delivery.endpoint
    if endpoint is None:
        return dropped(_("The endpoint was deleted."))
    if not endpoint.active:
        return Outcome(Delivery.Status.FAILED, error=_("The endpoint is switched off."))
    headers = signed(delivery, endpoint.secret)
    answer = http_client.post(endpoint.url, headers, delivery.body.encode(), settings.NOTICE_TIMEOUT_SECONDS)
    if 200 <= answer.status < 300:
        return sent(answer.status)
    if answer.status == GONE:
        Endpoint.objects.filter(pk=endpoint.pk).update(active=False, note=GONE_NOTE)
        return Outcome(Delivery.Status.FAILED, answer.status, GONE_NOTE)
    error = (
        _("The receiver sent a redirect, which is not followed.")
        if 300 <= answer.status < 400
        else f"HTTP {answer.status}"
    )
    return Outcome(Delivery.Status.PENDING, answer.status, error, answer.retry_after)


def signed(delivery: Delivery, secret: str) -> dict[bytes | str, bytes | str]:
    """Return the signed headers of a try, with its own time and the delivery's id, which every try has."""
    now, webhook_id = datetime.now(UTC), str(delivery.pk)
    return {
        "content-type": "application/json",
        "user-agent": f"Agentsite/{VERSION}",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, now, delivery.body),
    }
