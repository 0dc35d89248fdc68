"""Registration of the console's pages with Django's admin, which autodiscovers this module."""

from reviews.console import audit, budgets, pauses, policy, related, reviews

__all__ = ["audit", "budgets", "pauses", "policy", "related", "reviews"]
