"""Module that Django imports from the package in ENGINE to find the backend."""

from functools import partial
from typing import Any

from django.db.backends.postgresql import base
from typing_extensions import override

from core.db.postgresql.answers import Connection, Driver
from core.db.postgresql.pools import PATIENCE, living


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL backend with a limit on waiting, which takes only live connections from its pool, if it has one."""

    Database = Driver()  # type: ignore[assignment]

    def __init__(self, settings_dict: dict[str, Any], alias: str = "default") -> None:
        super().__init__(settings_dict, alias)
        if pool := settings_dict["OPTIONS"].get("pool"):
            pool.setdefault("connection_class", Connection)
            pool.setdefault("timeout", PATIENCE)

    @override
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        take = partial(super().get_new_connection, conn_params)
        return take() if self.pool is None else living(self.pool, take)
