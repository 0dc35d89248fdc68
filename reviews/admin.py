"""Registers the console's pages with Django's admin, which looks for them in this module."""

from reviews.console import audit, pauses, policy, related, reviews

__all__ = ["audit", "pauses", "policy", "related", "reviews"]
