"""Base class of viewsets."""

from typing import Any

from rest_framework.request import Request
from rest_framework.viewsets import ViewSet
from typing_extensions import override

from core.errors import Invalid
from core.identifiers import identifier

CLIENT_IDS = ("user_id", "session_id", "task_id")


class ClientIdsViewSet(ViewSet):
    """Viewset whose actions receive the path's ids in their stored form. An invalid id is a 400 that names it."""

    @override
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Convert the ids in the path to their stored form. Raises Invalid."""
        super().initial(request, *args, **kwargs)
        for name in CLIENT_IDS:
            if name in kwargs:
                try:
                    # The action is called with the dictionary `self.kwargs`; `kwargs` here is a copy.
                    self.kwargs[name] = identifier(kwargs[name])
                except ValueError as error:
                    raise Invalid(errors={name: [str(error)]}) from error
