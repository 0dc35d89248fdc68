"""Signals of reviews for other apps. For how they are sent, see `agents.signals`."""

from django.dispatch import Signal

# review: as before the decision; status: the new one, also `expired`; by: a username or "system"
review_decided = Signal()
