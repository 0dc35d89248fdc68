"""Implementation of the `agents.desk` interface, named by `settings.REVIEW_DESK`."""

import uuid

from typing_extensions import override

from agents import desk
from agents.pause_file import Found
from agents.policy import Denied
from reviews import pauses
from reviews.audit import log
from reviews.decisions import permissions, services


class Desk(desk.Desk):
    """Desk that serves workers from reviews, decisions and pauses."""

    @override
    def may_still_decide(self, interrupt_pk: uuid.UUID) -> bool:
        return permissions.may_still_decide(interrupt_pk)

    @override
    def expire_overdue(self) -> int:
        return services.expire()

    @override
    def record_refused(self, denied: Denied) -> bool:
        return log.denied(denied)

    @override
    def mirror_pauses(self, found: Found) -> None:
        pauses.mirror(found)
