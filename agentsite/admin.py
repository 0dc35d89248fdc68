"""Registers the console's pages with Django's admin, which looks for them in this module."""

from agentsite.console import registrations

__all__ = ["registrations"]
