"""Registration of the console's pages. Django's admin autodiscovery imports this module."""

from agentsite.console import registrations

__all__ = ["registrations"]
