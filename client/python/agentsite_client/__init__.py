"""Client of Agentsite: submit tasks, watch them, decide what waits for a person."""

from agentsite_client.async_client import AsyncClient
from agentsite_client.client import Client
from agentsite_client.errors import AgentsiteError, ApiError, NotInTime, Unreachable
from agentsite_client.events import Event, TaskEvent, text_of

__all__ = [
    "AgentsiteError",
    "ApiError",
    "AsyncClient",
    "Client",
    "Event",
    "NotInTime",
    "TaskEvent",
    "Unreachable",
    "text_of",
]
