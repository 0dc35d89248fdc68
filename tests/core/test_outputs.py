"""The bodies of responses: what `Output` renders, and that it is what DRF would render."""

import uuid
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from core.api.outputs import AS_THEY_ARE, ConstantField, NullTextField, Output


class Part(Output):
    name = serializers.CharField(source="text")
    left_out = serializers.CharField(required=False)


class Whole(Output):
    id = serializers.UUIDField()
    status = ConstantField("here")
    kind = serializers.ChoiceField(["one", "two"])
    text = NullTextField()
    deep = serializers.CharField(source="part.text")
    count = serializers.IntegerField()
    ratio = serializers.FloatField()
    flag = serializers.BooleanField()
    stored = serializers.JSONField()
    at = serializers.DateTimeField()
    never = serializers.DateTimeField(allow_null=True)
    part = Part()
    itself = Part(source="*")
    nothing = Part(allow_null=True)


def row(**more: Any) -> Any:
    values = {
        "id": uuid.UUID(int=7),
        "kind": "two",
        "text": "",
        "count": 3,
        "ratio": 0.1,
        "flag": 1,
        "stored": {"b": [1, None], "a": "☃"},
        "at": datetime(2026, 11, 30, 1, 2, 3, 40, UTC),
        "never": None,
        "part": SimpleNamespace(text="inner"),
        "nothing": None,
    }
    return SimpleNamespace(**values | more)


def text(body: Any) -> bytes:
    return bytes(JSONRenderer().render(body))


@pytest.mark.parametrize("more", [{}, {"text": "x", "at": datetime(2026, 11, 30, tzinfo=UTC), "flag": 0}])
def test_the_text_is_that_of_drf(more: Any) -> None:
    drf = serializers.Serializer.to_representation(Whole(), row(**more))
    assert text(Whole.of(row(**more))) == text(drf) == text(Whole(row(**more)).data)


def test_every_field_that_is_not_optional_is_in_the_body_in_its_place() -> None:
    assert list(Whole.of(row())) == list(Whole().fields)
    assert Part.of(row()) == {"name": ""}


def test_what_is_given_is_used_as_it_is() -> None:
    assert Part.of(row(), left_out=[1]) == {"name": "", "left_out": [1]}
    assert Part.of(name=None) == {"name": None}


def test_what_is_missing_or_unknown_is_an_error() -> None:
    with pytest.raises(TypeError, match="Part has no nmae"):
        Part.of(row(), nmae="x")
    with pytest.raises(AttributeError):
        Part.of()


def test_control_fields_that_convert_are_not_left_alone() -> None:
    assert NullTextField.to_representation not in AS_THEY_ARE
    assert serializers.UUIDField.to_representation not in AS_THEY_ARE
