"""What viewsets share."""

from typing import Any

from rest_framework.request import Request
from rest_framework.viewsets import ViewSet
from typing_extensions import override

from core.errors import Invalid
from core.identifiers import identifier

CLIENT_IDS = ("user_id", "session_id", "task_id")


class ClientIdsViewSet(ViewSet):
    """Its methods get the ids of the path in their stored form; one that can't be an id is a 400 that names it."""

    @override
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises Invalid."""
        super().initial(request, *args, **kwargs)
        for name in CLIENT_IDS:
            if name in kwargs:
                try:
                    # The very dictionary that the method is called with, as `kwargs` here is a copy.
                    self.kwargs[name] = identifier(kwargs[name])
                except ValueError as error:
                    raise Invalid(errors={name: [str(error)]}) from error
