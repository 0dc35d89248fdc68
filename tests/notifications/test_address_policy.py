"""Where a webhook may be sent to: looked at when an endpoint is saved, and again when it is connected to."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from notifications import outbox
from notifications.delivery import deliver_due
from notifications.models import Delivery, Endpoint
from notifications.transports import address_policy
from tests.support.receiver import Receiver

DATABASE = pytest.mark.django_db(transaction=True)

PUBLIC = "93.184.215.14"
INSIDE = [
    *("127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254"),
    *("100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "fe80::1%eth0"),
]


def entered(url: str) -> Endpoint:
    """As the admin checks it before it saves it."""
    made = Endpoint(name="x", url=url)
    made.full_clean()
    return made


def saved(url: str) -> Endpoint:
    made = entered(url)
    made.save()
    return made


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What names lead to: of each answer the next, and the last one for ever."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **more)
        found = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return [entry for address in found for entry in real(address, port, *args, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused_on_save(address: str, resolver: Any, monkeypatch: Any) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)
    with pytest.raises(ValidationError, match="public internet"):
        entered("https://receiver.example/")


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
def test_the_other_spellings_of_loopback_too(host: str) -> None:
    with pytest.raises(address_policy.Refused):
        address_policy.check_url(f"https://{host}/")


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_a_public_one_is_taken(address: str) -> None:
    assert address_policy.is_public(address_policy.plain(address))


def test_one_inside_among_public_ones_is_refused(resolver: Any) -> None:
    resolver["receiver.example"] = [[PUBLIC, "10.0.0.1"]]
    with pytest.raises(ValidationError):
        entered("https://receiver.example/")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://receiver.example/",
            "https://",
            "https://user:secret@receiver.example/",
            "https://receiver.example/#x",
        ),
        *("https://receiver.example:99999/", "https://réceiver.example/", "gopher://127.0.0.1/", "javascript:alert(1)"),
    ],
)
def test_what_is_no_sound_address_is_refused(url: str, resolver: Any) -> None:
    resolver["receiver.example"] = [[PUBLIC]]
    with pytest.raises(address_policy.Refused):
        address_policy.check_url(url)


def test_a_name_that_nobody_knows_is_refused(monkeypatch: Any) -> None:
    def unknown(*args: Any, **more: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ValidationError, match="be resolved"):
        entered("https://receiver.example/")


def test_without_encryption_only_a_network_that_is_allowed(resolver: Any, settings: Any) -> None:
    resolver["receiver.example"] = [[PUBLIC]]
    with pytest.raises(ValidationError, match="https"):
        entered("http://receiver.example/")
    settings.WEBHOOK_ALLOW_NETWORKS = [f"{PUBLIC}/32"]
    assert entered("http://receiver.example/")


def test_an_allowed_network_opens_no_other(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = ["10.0.0.0/8"]
    assert entered("http://10.1.2.3:8080/hook")
    with pytest.raises(ValidationError):
        entered("http://127.0.0.1/hook")


# At each connection


@DATABASE
def test_a_name_that_leads_elsewhere_at_the_next_look_is_not_connected_to(
    resolver: Any, receiver: Receiver, settings: Any
) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = []
    port = receiver.server.server_address[1]
    resolver["receiver.example"] = [[PUBLIC], ["127.0.0.1"]]
    outbox.send_test(saved(f"https://receiver.example:{port}/hook"))
    deliver_due()
    assert receiver.got == []
    assert "Refused" in Delivery.objects.get().last_error


@DATABASE
def test_what_was_checked_is_what_is_connected_to(resolver: Any, receiver: Receiver) -> None:
    port = receiver.server.server_address[1]
    # A third look would lead to where nobody listens.
    resolver["receiver.example"] = [["127.0.0.1"], ["127.0.0.1"], ["127.0.0.99"]]
    outbox.send_test(saved(f"http://receiver.example:{port}/hook"))
    deliver_due()
    assert receiver.got[0].headers["host"] == f"receiver.example:{port}"


@pytest.fixture
def greeted(settings: Any) -> Iterator[tuple[int, list[str | None]]]:
    """The port of a server that begins TLS, and the names that it was greeted by. It has no certificate to show."""
    settings.WEBHOOK_ALLOW_NETWORKS = ["127.0.0.0/8"]
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda connection, name, _: names.append(name)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=greet)
        thread.start()
        yield server.getsockname()[1], names
        thread.join()


@DATABASE
def test_tls_asks_for_the_name_and_not_for_the_address(greeted: Any, resolver: Any) -> None:
    port, names = greeted
    resolver["receiver.example"] = [["127.0.0.1"]]
    outbox.send_test(saved(f"https://receiver.example:{port}/hook"))
    deliver_due()
    assert names == ["receiver.example"]
    assert Delivery.objects.get().status == "pending"


@DATABASE
def test_no_proxy_of_the_environment_is_used(receiver: Receiver, endpoint: Endpoint, monkeypatch: Any) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    outbox.send_test(endpoint)
    deliver_due()
    assert len(receiver.got) == 1
