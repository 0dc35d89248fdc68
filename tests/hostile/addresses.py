"""Paths, ids in them, and query strings."""

import base64
import json
from typing import Any

KEY = "00000000-0000-0000-0000-000000000000"


def cursor(*values: Any) -> str:
    """A cursor as our own are made, but for what is in it."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


# Ids in a path, percent-decoded. No such thing exists, and most can't be one.
IMPOSSIBLE_IDS: dict[str, bytes] = {
    "a space": b" ",
    "a NUL": b"\x00",
    "a NUL inside": b"a\x00b",
    "a line feed": b"a\n",
    "a carriage return": b"a\r\nX: y",
    "a tab": b"\t",
    "an escape": b"\x1b[2J",
    "DEL": b"\x7f",
    "a dot": b".",
    "two dots": b"..",
    "a backslash": b"..\\",
    "a percent": b"%",
    "encoded dots": b"%2e%2e",
    "an encoded NUL": b"%00",
    "an encoded byte": b"%ff",
    "a broken encoding": b"%zz",
    "a byte": b"\xff",
    "Latin-1": b"\xe9",
    "an overlong slash": b"\xc0\xaf",
    "an encoded surrogate": b"\xed\xa0\x80",
    "UTF-16": "ann".encode("utf-16"),
    "a BOM": "\ufeffann".encode(),
    "right to left": "\u202eann".encode(),
    "a zero-width joiner": "a\u200dn".encode(),
    "a zero-width space": "\u200b".encode(),
    "a lone combining mark": "\u0301".encode(),
    "a soft hyphen": "a\u00adn".encode(),
    "an emoji": "\U0001f600".encode(),
    "a tag": "\U000e0041".encode(),
    "private use": "\ue000".encode(),
    "a noncharacter": "\uffff".encode(),
    "a fullwidth dot": "\uff0e\uff0e".encode(),
    "129 letters": b"x" * 129,
    "10,000 letters": b"x" * 10_000,
    "SQL": b"' OR 1=1; --",
    "a template": b"{{7*7}}",
    "HTML": b"<script>",
    "a query": b"?limit=1",
    "a fragment": b"#x",
    "a matrix parameter": b"ann;jsessionid=1",
    "a wildcard": b"*",
    "a UUID in braces": b"{00000000-0000-0000-0000-000000000000}",
}
ODD_IDS: dict[str, bytes] = {
    "another script": "\u4f1a\u8bdd".encode(),
    "decomposed": "Zoe\u0308".encode(),
    "digits of another script": "\u0663".encode(),
    "a colon": b":",
    "a bar": b"|",
    "three dots": b"...",
    "128 letters": b"x" * 128,
    "a UUID as a URN": b"urn:uuid:00000000-0000-0000-0000-000000000000",
}

# Query strings of lists. The second half is no business of a list and may be ignored.
BAD_QUERIES: dict[str, str] = {
    "no limit": "limit=",
    "limit zero": "limit=0",
    "a negative limit": "limit=-1",
    "a limit with a sign": "limit=%2b5",
    "a limit with a blank": "limit=%205",
    "a fraction": "limit=1.0",
    "an exponent": "limit=1e2",
    "hexadecimal": "limit=0x10",
    "an underscore": "limit=1_0",
    "over the limit": "limit=1001",
    "2**64": "limit=18446744073709551616",
    "5,000 digits": "limit=" + "1" * 5_000,
    "digits of another script": "limit=%d9%a1",
    "a superscript": "limit=%c2%b2",
    "a NUL": "limit=%00",
    "a byte": "limit=%ff",
    "a limit of SQL": "limit=1;DROP%20TABLE%20agents_task",
    "a thousand and one parameters": "&".join("a=1" for _ in range(1001)),
}
BAD_CURSORS: dict[str, str] = {
    "a word": "x",
    "a NUL": "%00",
    "a byte": "%ff",
    "a surrogate": "%ed%a0%80",
    "null": "bnVsbA==",
    "a number": "NQ==",
    "an empty array": cursor(),
    "an object": "e30=",
    "NaN": cursor(float("nan")),
    "three values": cursor(1, 2, 3),
    "two nulls": cursor(None, None),
    "two booleans": cursor(True, True),
    "two floats": cursor(1.5, 2.5),
    "10,000 open arrays": "W1tb" * 10_000,
    "no moment": cursor("x", "x"),
    "no key": cursor("2026-01-01T00:00:00+00:00", "x"),
    "no time zone": cursor("2026-01-01T00:00:00", KEY),
    "before the first moment": cursor("0001-01-01T00:00:00+23:59", KEY),
    "after the last moment": cursor("9999-12-31T23:59:59-23:59", KEY),
}
ODD_QUERIES: dict[str, str] = {
    "nothing": "&&&",
    "only an equals sign": "=",
    "a NUL": "%00=%00",
    "bytes": "%ff%fe=%ff",
    "broken encodings": "%=%zz&%u0041=%",
    "raw bytes": "a=\xff\xfe",
    "a search for a NUL": "query=%00",
    "a search for bytes": "query=%ff%fe",
    "a search for SQL": "query='%20OR%201=1--",
    "a search for a pattern": "query=(a%2b)%2b$",
    "a long search": "query=" + "x%20" * 20_000,
    "a format": "format=xml",
    "a language": "lang=../../x%00",
    "an array": "limit[]=1&limit[a]=b",
    "a method": "_method=DELETE",
    "the same twice": "limit=2&limit=1",
}
PATHS: dict[str, bytes] = {
    "two slashes": b"//",
    "a slash behind": b"/agent/invoke/",
    "a slash too many": b"/agent//invoke",
    "upper case": b"/AGENT/INVOKE",
    "dots": b"/agent/../agent/invoke",
    "a NUL": b"/agent/invoke\x00",
    "a line feed": b"/health\n",
    "bytes": b"/\xff\xfe",
    "an overlong slash": b"/agent\xc0\xafinvoke",
    "another service": b"/.env",
    "static files by dots": b"/static/../agentsite/settings/base.py",
    "static files by a NUL": b"/static/\x00",
    "static files by bytes": b"/static/\xff",
    "a long one": b"/" + b"a/" * 10_000,
    "no slash": b"agent/invoke",
    "a URL": b"http://evil.example.com/",
}
