"""Policy on webhook addresses: a person who edits an endpoint must not reach what only our machines can reach.

It is applied when an endpoint is saved and again at each connection, because a name can resolve differently later.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

NAT64 = ip_network("64:ff9b::/96")  # IPv4 addresses as an IPv6-only network reaches them
# Metadata services of clouds, at addresses that Python 3.11 takes for public.
NEVER = (ip_network("168.63.129.16/32"), ip_network("192.0.0.0/24"))
PORTS = {"https": 443, "http": 80}

Address = IPv4Address | IPv6Address


class Refused(Exception):
    """Error for an address that the policy does not allow."""


def check_url(url: str) -> None:
    """Raise Refused if the URL is not valid, or its host has an address that the policy does not allow."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(_("This is not a valid address.")) from error
    if parts.scheme not in PORTS or not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
        raise Refused(_("The address must start with https:// and the receiver's host name, in ASCII."))
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Refused(_("Leave out user names, passwords and fragments. The signature identifies the sender."))
    resolved(parts.hostname, port or PORTS[parts.scheme], encrypted=parts.scheme == "https")


def resolved(host: str, port: int, *, encrypted: bool) -> list[str]:
    """Return the addresses of this host. Raises Refused unless the policy allows all of them."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Refused(_("%(host)s can't be resolved.") % {"host": host}) from error
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in texts:
        address = plain(text)
        if is_allowed(address):
            continue
        if not is_public(address):
            # Without the address itself, which would reveal what our resolver knows.
            raise Refused(_("%(host)s is not on the public internet (see WEBHOOK_ALLOW_NETWORKS).") % {"host": host})
        if not encrypted:
            raise Refused(_("On the public internet, only https:// is allowed."))
    return texts


def plain(text: str) -> Address:
    """Return the actual address: without a zone, and as IPv4 if IPv6 only wraps it."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
    return address


def is_allowed(address: Address) -> bool:
    """Return whether the operator has allowed this address (WEBHOOK_ALLOW_NETWORKS)."""
    return any(address in network for network in _networks(settings.WEBHOOK_ALLOW_NETWORKS))


def is_public(address: Address) -> bool:
    """Return whether the address is on the public Internet, not in our own networks, machines or cloud."""
    odd = address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False)
    return address.is_global and not odd and not any(address in network for network in NEVER)


def _networks(texts: Iterable[str]) -> Iterable[IPv4Network | IPv6Network]:
    return (ip_network(text.strip(), strict=False) for text in texts)
