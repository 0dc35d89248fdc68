"""Serializer fields that take what JSON says and nothing else."""

from typing import Any

from rest_framework import serializers
from typing_extensions import override


class TextField(serializers.CharField):
    """A JSON string, kept as it came (DRF's CharField strips it and takes numbers for text)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    @override
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Not a string.")
        if not self.allow_blank and not data.strip():
            self.fail("blank")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """JSON's true or false (DRF's BooleanField takes texts and numbers for them)."""

    @override
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class WholeNumberField(serializers.IntegerField):
    """A JSON number without a fraction (DRF's IntegerField takes texts for numbers)."""

    @override
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float) or data != int(data):
            self.fail("invalid")
        return super().to_internal_value(int(data))
