"""Serializers of response bodies. Each of them describes a body for the schema, and renders what it describes."""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

from rest_framework import serializers
from typing_extensions import override

Read = Callable[[Any], Any]

# A row's values are what these fields would make of them, or the renderer's encoder makes it of them (dates, in UTC).
AS_THEY_ARE = {
    kind.to_representation
    for kind in (
        serializers.CharField,
        serializers.ChoiceField,
        serializers.DateTimeField,
        serializers.FloatField,
        serializers.IntegerField,
        serializers.JSONField,
    )
}


class Output(serializers.Serializer):
    """Body of a response, rendered by `of`.

    `Serializer.data` would copy the fields for each body, and convert values that are right already: GET /reviews would
    take a fifth longer.
    """

    @classmethod
    def of(cls, row: Any = None, /, **given: Any) -> dict[str, Any]:
        """Render the body from a row and from values that it does not hold.

        Args:
            row: the object whose attributes are the `source` of the fields.
            given: values of fields, used as they are. An optional field is in the body only if it is given.
        """
        body = {}
        for name, read in _readers(cls):
            if name in given:
                body[name] = given.pop(name)
            elif read is not None:
                body[name] = read(row)
        if given:
            raise TypeError(f"{cls.__name__} has no {', '.join(given)}")
        return body

    @override
    def to_representation(self, instance: Any) -> dict[str, Any]:
        return self.of(instance)


class NullTextField(serializers.CharField):
    """A text that is null if the row has none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    @override
    def to_representation(self, value: str) -> Any:
        return value or None


class ConstantField(serializers.ChoiceField):
    """A text that is always the same."""

    def __init__(self, value: str) -> None:
        super().__init__([value], source="*")
        self.value = value

    @override
    def to_representation(self, value: Any) -> str:
        return self.value


class ErrorSerializer(Output):
    """An error. `code` identifies it for programs. `detail` explains it in English."""

    detail = serializers.CharField()
    code = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment] # DRF's own property of this name is not for reading here
        child=serializers.ListField(child=serializers.CharField()), required=False, help_text="Problems by field."
    )


class DoneSerializer(Output):
    """Confirmation of a request that returns no data."""

    status = ConstantField("success")
    message = serializers.CharField()


@cache
def _readers(output: type[Output]) -> tuple[tuple[str, Read | None], ...]:
    """Return how to read the value of each field from a row; None for optional fields."""
    return tuple((name, _reader(field) if field.required else None) for name, field in output().fields.items())


def _reader(field: serializers.Field) -> Read:
    render, source = field.to_representation, str(field.source)
    if source == "*":
        return render
    read: Read = attrgetter(source)
    if type(field).to_representation in AS_THEY_ARE:
        return read
    return lambda row: None if (value := read(row)) is None else render(value)
