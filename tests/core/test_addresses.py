"""Which address a request counts for."""

from typing import Any

import pytest
from django.test import RequestFactory

from core.api.addresses import client_address


def address(**meta: str) -> str | None:
    return client_address(RequestFactory().get("/", **meta))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", None),
        ("@", None),
    ],
)
def test_an_ipv6_host_counts_as_its_network(peer: str, counted: str | None) -> None:
    assert address(REMOTE_ADDR=peer) == counted


def test_what_a_client_claims_is_ignored(settings: Any) -> None:
    assert settings.REST_FRAMEWORK["NUM_PROXIES"] == 0
    assert address(REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR="198.51.100.1") == "192.0.2.7"


def test_a_trusted_proxy_that_writes_no_address_is_itself_the_client(settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    assert address(REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR="unknown") == "192.0.2.7"
