"""The module in which Django looks for a backend."""

from functools import partial
from typing import Any

from django.db.backends.postgresql import base

from agentsite.core.postgresql.pools import living


class DatabaseWrapper(base.DatabaseWrapper):
    """Takes living connections only from its pool, where it has one."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Source: Django's DatabaseWrapper."""
        take = partial(super().get_new_connection, conn_params)
        return take() if self.pool is None else living(self.pool, take)
