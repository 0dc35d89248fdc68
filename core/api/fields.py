"""Serializer fields that accept only the matching JSON type."""

from typing import Any

from rest_framework import serializers
from typing_extensions import override


class TextField(serializers.CharField):
    """A JSON string, kept unchanged (DRF's CharField strips it and also accepts numbers)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    @override
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be a string.")
        if not self.allow_blank and not data.strip():
            self.fail("blank")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """A JSON true or false (DRF's BooleanField also accepts strings and numbers)."""

    @override
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class WholeNumberField(serializers.IntegerField):
    """A JSON number without a fraction (DRF's IntegerField also accepts strings)."""

    @override
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float) or data != int(data):
            self.fail("invalid")
        return super().to_internal_value(int(data))
