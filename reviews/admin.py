"""Registration of the console's pages with Django's admin, which autodiscovers this module."""

from reviews.console import audit, pauses, policy, related, reviews

__all__ = ["audit", "pauses", "policy", "related", "reviews"]
