"""What the outside world may be told of; `agents.signals` says how."""

from django.dispatch import Signal

# review: as it was before; status: what it has become, `expired` too; by: a username or "system"
review_decided = Signal()
