"""Fields that take what JSON says and nothing else."""

from typing import Any

import pytest
from rest_framework.exceptions import ValidationError

from core.api.fields import FlagField, WholeNumberField


@pytest.mark.parametrize(("given", "number"), [(1, 1), (-0.0, 0), (2.0, 2)])
def test_a_number_without_a_fraction_is_a_whole_number(given: Any, number: int) -> None:
    assert WholeNumberField().run_validation(given) == number


@pytest.mark.parametrize("given", ["1", 1.5, True, None, [1], {}, 1e300])
def test_whatever_else_is_not(given: Any) -> None:
    with pytest.raises(ValidationError):
        WholeNumberField(max_value=2**31).run_validation(given)


@pytest.mark.parametrize("given", [True, False])
def test_a_flag_is_true_or_false(given: bool) -> None:
    assert FlagField().run_validation(given) is given


@pytest.mark.parametrize("given", ["true", "on", 1, 0, None, [True]])
def test_a_flag_is_nothing_else(given: Any) -> None:
    with pytest.raises(ValidationError):
        FlagField().run_validation(given)
