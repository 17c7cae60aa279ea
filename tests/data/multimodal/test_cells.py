"""Cells of numbers and texts become what a model gets, whatever their size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.data.multimodal.cells import FARTHEST, Number, Text
from llm_lab.data.record import UnusableError
from llm_lab.errors import ConfigError


def fitted(values: Any) -> Number:
    """One column of numbers."""
    kind = Number(columns="x")
    kind.fit([None if value is None else float(value)] for value in values)
    return kind


@pytest.mark.parametrize("mean", [0.0, 1e9, 1.7e12, -1e30])
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_numbers_far_from_zero_are_standardized_like_others(mean: float, scale: float) -> None:
    scale *= max(1.0, abs(mean) * 1e-9)
    values = mean + scale * np.random.default_rng(0).standard_normal(500)
    kind = fitted(values)
    told = np.array([kind.encode([value])[0] for value in values.tolist()])
    assert abs(told.mean()) < 1e-4 and told.std() == pytest.approx(1, abs=1e-3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50), st.floats(-1e6, 1e6))
def test_mean_and_deviation_are_those_of_the_values(values: list[float], shift: float) -> None:
    kind, array = fitted([None, *(shift + value for value in values)]), shift + np.array(values)
    assert kind.centre[0] == pytest.approx(array.mean(), rel=1e-9, abs=1e-6)
    assert array.std() < 1e-6 or kind.scale[0] == pytest.approx(array.std(), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("value", [0.1, 1e9 / 3, 1e30])
def test_a_constant_is_not_blown_up(value: float) -> None:
    kind = fitted([value] * 1000)
    assert kind.scale == [1.0] and kind.encode([value]) == [0.0, 1.0]
    assert kind.encode([-1e38])[0] == -FARTHEST


@pytest.mark.parametrize("cell", ["1e308", "-1e39", 10**400, "inf"])
def test_a_number_that_no_model_can_take_rejects_its_row(cell: Any) -> None:
    with pytest.raises(UnusableError) as error:
        Number(columns="x").clean({"x": cell})
    assert error.value.reason == "number too large"


@pytest.mark.parametrize(
    ("pattern", "replacement", "why"),
    [("(", "x", "missing"), ("e", r"\9", "invalid group"), ("e", r"\g<no>", "unknown group name 'no'")],
)
def test_what_cannot_be_replaced_is_told_before_a_text_is_read(
    pattern: str, replacement: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^replace: .*{why}"):
        Text(replace={pattern: replacement})
