"""Checks for JSON Schema formats (`date`, `email`, `uri` …), which an edited value must satisfy to be accepted.

jsonschema's own checker accepts most of them unchecked, because it lacks the libraries it needs or only looks for an
`@`. Formats that can't be checked here (`password`, `binary`, `file-path`) pass, as the specification says.

Dates and times may omit the offset or the seconds: Pydantic writes `2026-01-31T09:30:00` for a time without a zone.
"""

import base64
import binascii
import datetime
import email.utils
import ipaddress
import json
import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from jsonschema import FormatChecker

DATE = r"\d{4}-\d{2}-\d{2}"
TIME = r"\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
OFFSET = r"([Zz]|[+-]\d{2}:\d{2})"
DURATION = r"[+-]?P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)"
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
SCHEME = r"[a-z][a-z0-9+.-]*:"
URI_CHARS = r"([a-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9a-f]{2})*"
IRI_CHARS = r"([^\s\x00-\x20\x7f\"<>\\^`{|}%]|%[0-9a-f]{2})*"
POINTER = r"(/([^~/]|~[01])*)*"
TEMPLATE = r"([^{}\s\"'<>\\^`|]|\{[+#./;?&=,!@|]?[\w.%*:,]+\})*"
WITH_HOST = ("http", "https", "ws", "wss", "ftp", "ftps")
BITS = {"int32": 31, "int64": 63}


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.ASCII | re.IGNORECASE) is not None


def _is_date(text: str) -> None:
    _require(_matches(DATE, text))
    datetime.date.fromisoformat(text)


def _is_time(text: str) -> None:
    _require(_matches(TIME + OFFSET + "?", text))
    datetime.time.fromisoformat(_shortened(text))


def _is_date_time(text: str) -> None:
    _require(_matches(f"{DATE}[Tt ]{TIME}{OFFSET}?", text))
    datetime.datetime.fromisoformat(_shortened(text))


def _shortened(text: str) -> str:
    """Return the time in upper case with at most six digits of a second, as Python reads it."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text.upper())


def _is_duration(text: str) -> None:
    _require(_matches(DURATION, text))


def _is_email(text: str) -> None:
    validate_email(text)


def _is_idn_email(text: str) -> None:
    local, _at, domain = text.rpartition("@")
    _require(local != "" and re.search(r"[\s@<>,;:\"()\[\]\\]", local) is None)
    validate_email(f"a@{domain}")


def _is_name_and_email(text: str) -> None:
    validate_email(email.utils.parseaddr(text)[1])


def _is_hostname(text: str) -> None:
    _require(len(text) <= 253 and _matches(rf"{LABEL}(\.{LABEL})*\.?", text))


def _is_idn_hostname(text: str) -> None:
    _is_hostname(text.encode("idna").decode("ascii"))


def _is_uri(text: str) -> None:
    _require(_matches(SCHEME + URI_CHARS, text))
    _is_address(text)


def _is_uri_reference(text: str) -> None:
    _require(_matches(URI_CHARS, text))
    _is_address(text)


def _is_iri(text: str) -> None:
    _require(_matches(SCHEME + IRI_CHARS, text))
    _is_address(text)


def _is_iri_reference(text: str) -> None:
    _require(_matches(IRI_CHARS, text))
    _is_address(text)


def _is_address(text: str) -> None:
    """Check what the pattern does not: a host if the scheme requires one, and a numeric port."""
    parts = urlsplit(text)
    _require(bool(parts.hostname) or parts.scheme not in WITH_HOST)
    _require(parts.port is None or parts.port >= 0)


def _is_uri_template(text: str) -> None:
    _require(_matches(TEMPLATE, text))


def _is_uuid(text: str) -> None:
    _require(str(uuid.UUID(text)) == text.lower())


def _is_uuid_of(version: int) -> Callable[[str], None]:
    def check(text: str) -> None:
        _is_uuid(text)
        _require(uuid.UUID(text).version == version)

    return check


def _is_ipv6(text: str) -> None:
    _require(ipaddress.IPv6Address(text).scope_id is None)


def _is_json_pointer(text: str) -> None:
    _require(_matches(POINTER, text))


def _is_relative_json_pointer(text: str) -> None:
    _require(_matches(rf"(0|[1-9]\d*)(#|{POINTER})", text))


def _is_base64(text: str) -> None:
    base64.b64decode(text, validate=True)


def _is_base64url(text: str) -> None:
    _require(_matches(r"[a-z0-9_-]*={0,2}", text))


def _require(holds: bool) -> None:
    """Raise ValueError unless the condition holds."""
    if not holds:
        raise ValueError


TEXTS: dict[str, Callable[[str], Any]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_date_time,
    "duration": _is_duration,
    "email": _is_email,
    "idn-email": _is_idn_email,
    "name-email": _is_name_and_email,
    "hostname": _is_hostname,
    "idn-hostname": _is_idn_hostname,
    "uri": _is_uri,
    "url": _is_uri,
    "uri-reference": _is_uri_reference,
    "iri": _is_iri,
    "iri-reference": _is_iri_reference,
    "uri-template": _is_uri_template,
    "uuid": _is_uuid,
    **{f"uuid{version}": _is_uuid_of(version) for version in (1, 3, 4, 5, 6, 7, 8)},
    "ipv4": ipaddress.IPv4Address,
    "ipv6": _is_ipv6,
    "ipvanyaddress": ipaddress.ip_address,
    "ipv4network": ipaddress.IPv4Network,
    "ipv6network": ipaddress.IPv6Network,
    "ipvanynetwork": ipaddress.ip_network,
    "ipv4interface": ipaddress.IPv4Interface,
    "ipv6interface": ipaddress.IPv6Interface,
    "ipvanyinterface": ipaddress.ip_interface,
    "json-pointer": _is_json_pointer,
    "relative-json-pointer": _is_relative_json_pointer,
    "regex": re.compile,
    "json-string": json.loads,
    "byte": _is_base64,
    "base64url": _is_base64url,
}


def _of_text(check: Callable[[str], Any]) -> Callable[[Any], bool]:
    """Return the check for strings only. Other types pass, because these formats do not apply to them."""

    def fits(value: Any) -> bool:
        if not isinstance(value, str):
            return True
        try:
            check(value)
        except (ValueError, RecursionError, OverflowError, ValidationError, binascii.Error, re.error):
            return False
        return True

    return fits


def _of_bits(bits: int) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int):
            return True
        return -(2**bits) <= value < 2**bits

    return fits


def _checker() -> FormatChecker:
    made = FormatChecker(formats=())
    for name, check in TEXTS.items():
        made.checks(name)(_of_text(check))
    for name, bits in BITS.items():
        made.checks(name)(_of_bits(bits))
    return made


CHECKER = _checker()
