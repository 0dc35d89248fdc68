"""`manage.py api_docs`: generates docs/reference/api.md."""

from typing import Any

from django.core.management.base import BaseCommand
from typing_extensions import override

from agentsite.api import reference


class Command(BaseCommand):
    """Command to run after changing an endpoint; a test fails until then."""

    help = "Generate docs/reference/api.md from the OpenAPI schema, api-intro.md and api-examples.json."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file."""
        reference.TARGET.write_text(reference.page())
        self.stderr.write(f"Wrote {reference.TARGET}.")
