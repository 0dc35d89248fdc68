"""Strict parser of request bodies, which rejects input that later code could not handle."""

import codecs
import json
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from typing_extensions import override

from core.text import is_storable

MAX_DEPTH = 64


class StrictJSONParser(JSONParser):
    """Parser for JSON objects in UTF-8 without NaN, infinities, NULs, lone surrogates or excessive depth."""

    @override
    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> dict[str, Any]:
        """Return the parsed object. Raises ParseError with the reason, or RequestDataTooBig."""
        body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        try:
            data = json.loads(codecs.decode(body, "utf-8"), parse_constant=_refuse_constant)
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error
        except ValueError as error:
            raise ParseError(f"The body is not valid JSON in UTF-8: {error}") from error
        if not isinstance(data, dict):
            raise ParseError("The body must be a JSON object.")
        _check(data)
        return data


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


def _check(value: Any, depth: int = 1) -> None:
    if depth > MAX_DEPTH:
        raise ParseError(f"The JSON is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, str):
        if not is_storable(value):
            raise ParseError("The JSON contains a string with a NUL character or a lone surrogate.")
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise ParseError("The JSON contains a number that is too large.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth + 1)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
