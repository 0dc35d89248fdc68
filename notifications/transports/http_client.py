"""POST to an address that a person has entered: only to the checked address, within a deadline, without redirects."""

import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore2
from django.utils.http import parse_http_date_safe
from typing_extensions import override

from notifications.transports import address_policy

BODY_LIMIT = 4096  # bytes of a response that are read and ignored, so that the receiver sees no broken pipe
ADDRESSES_TRIED = 3  # per host


@dataclass(frozen=True)
class Answer:
    """Parts of the receiver's response that matter for a delivery."""

    status: int
    retry_after: float  # seconds; 0 if it asked for none


def post(url: str, headers: dict[bytes | str, bytes | str], body: bytes, timeout: float) -> Answer:
    """Send the request and return the response. Redirects are returned, not followed. Proxy settings are ignored.

    Args:
        timeout: seconds for all of it, from resolving the name (which is not interrupted) to the response.

    Raises:
        address_policy.Refused: the policy does not allow the host.
        Exception: httpcore2's own, for any other reason why there is no response.
    """
    parts = urlsplit(url)
    line = Line(encrypted=parts.scheme == "https", deadline=time.monotonic() + timeout)
    headers = {"host": parts.netloc, **headers}  # httpcore2 would leave out the brackets of an IPv6 address
    each = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
    with (
        httpcore2.ConnectionPool(ssl_context=_trust(), network_backend=line, max_keepalive_connections=0) as pool,
        pool.stream("POST", url, headers=headers, content=body, extensions={"timeout": each}) as response,
    ):
        with suppress(httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
            _read_some(response.iter_stream())  # even if this fails, there is a response
        return Answer(response.status, _retry_after(response.headers))


def _read_some(body: Iterable[bytes]) -> None:
    read = 0
    for chunk in body:
        read += len(chunk)
        if read >= BODY_LIMIT:
            return


class Line(httpcore2.NetworkBackend):
    """Network backend that connects to a checked address. TLS and the `Host` header still use the name."""

    def __init__(self, *, encrypted: bool, deadline: float) -> None:
        self._encrypted = encrypted
        self._deadline = deadline
        self._tcp = httpcore2.SyncBackend()

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        failed: Exception = httpcore2.ConnectError(f"no address of {host} answers")
        for address in address_policy.resolved(host, port, encrypted=self._encrypted)[:ADDRESSES_TRIED]:
            try:
                left = seconds_left(self._deadline)
                stream = self._tcp.connect_tcp(address, port, left, local_address, socket_options)
                return OnTime(stream, self._deadline)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


class OnTime(httpcore2.NetworkStream):
    """A stream that ends at the deadline, because httpcore2 limits each read separately and a receiver can be slow."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, seconds_left(self._deadline))

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, seconds_left(self._deadline))

    @override
    def close(self) -> None:
        self._stream.close()

    @override
    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, seconds_left(self._deadline))
        return OnTime(stream, self._deadline)

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def seconds_left(deadline: float) -> float:
    """Return the seconds until the deadline. Raises httpcore2.ReadTimeout when it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("no answer in time")
    return left


@cache
def _trust() -> ssl.SSLContext:
    return httpcore2.default_ssl_context()


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """Return the seconds to wait that `Retry-After` gives as a number or a date; 0 without it."""
    text = next((value for name, value in headers if name.lower() == b"retry-after"), b"").decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    date = parse_http_date_safe(text) if text else None
    return max(date - time.time(), 0.0) if date is not None else 0.0
