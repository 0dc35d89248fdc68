"""Address of the client that sends a request."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from rest_framework.throttling import BaseThrottle

NETWORK = 64  # bits of an IPv6 address that distinguish clients: one host has all addresses of its /64


def client_address(request: Any) -> str | None:
    """Return the client's IPv4 address or IPv6 network, or None if it is unknown, as on a Unix socket.

    `X-Forwarded-For` is trusted only as far as NUM_PROXIES allows. `request` is Django's or DRF's.
    """
    for text in (BaseThrottle().get_ident(request), request.META.get("REMOTE_ADDR")):
        try:
            address = ip_address(text or "")
        except ValueError:  # a proxy may have written something else
            continue
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if isinstance(address, IPv6Address):
            address = ip_network((int(address), NETWORK), strict=False).network_address
        return str(address)
    return None
