"""Where a request comes from."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from rest_framework.throttling import BaseThrottle

NETWORK = 64  # bits of an IPv6 address that tell clients apart: one host has all addresses below them


def client_address(request: Any) -> str | None:
    """The address of the client, or of its IPv6 network; None where it is unknown, as on a Unix socket.

    `X-Forwarded-For` counts only as far as NUM_PROXIES trusts it. `request` is Django's or DRF's.
    """
    for text in (BaseThrottle().get_ident(request), request.META.get("REMOTE_ADDR")):
        try:
            address = ip_address(text or "")
        except ValueError:  # what a proxy wrote need not be an address
            continue
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if isinstance(address, IPv6Address):
            address = ip_network((int(address), NETWORK), strict=False).network_address
        return str(address)
    return None
