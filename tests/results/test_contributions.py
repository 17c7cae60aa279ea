"""Contributions of inputs: they add up, an idle input contributes nothing, what is missing is told."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.results.contributions import ablation, shapley_weights

NAMES = ("picture", "sound", "words")
SUBSETS = [frozenset(some) for size in (1, 2, 3) for some in combinations(NAMES, size)]


def parts(share: float, rows: int = 200) -> np.ndarray:
    right = np.arange(rows) < round(share * rows)
    return np.stack([right, np.ones(rows)], axis=1).astype(float)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_shapley_values_add_up_to_all_less_nothing(values: list[float]) -> None:
    figures = dict(zip([frozenset(), *SUBSETS], values, strict=True))
    total = sum(
        weight * figures[some] for name in NAMES for some, weight in shapley_weights(name, NAMES).items()
    )
    assert total == pytest.approx(figures[frozenset(NAMES)] - figures[frozenset()], abs=1e-9)


def test_what_adds_nothing_contributes_nothing() -> None:
    """The metric is 0.6 with words, 0.2 more with pictures; sounds are never of use, and 0.1 is known without any."""
    figure = {some: 0.1 + 0.5 * ("words" in some) + 0.2 * ("picture" in some) for some in SUBSETS}
    found = ablation("accuracy", {some: [parts(share)] for some, share in figure.items()}, nothing=0.1)
    picture, sound, words = found.contributions
    assert words.shapley and words.shapley.value == pytest.approx(0.5)
    assert picture.lost and picture.lost.value == pytest.approx(0.2) and picture.lost.low > 0
    assert sound.lost and (sound.lost.low, sound.lost.high) == (0, 0)
    assert sound.shapley and sound.shapley.value == pytest.approx(0)
    assert words.alone and words.alone.value == pytest.approx(0.6)
    assert words.alone.low < 0.6 < words.alone.high
    assert next(iter(found.subsets)) == frozenset(NAMES)


def test_a_run_that_is_missing_leaves_the_other_figures() -> None:
    pairs = {some: [parts(0.5), parts(0.7)] for some in SUBSETS if len(some) > 1}
    one = ablation("mrr", pairs).contributions[0]
    assert one.alone is None and one.shapley is None
    assert one.lost and one.lost.value == pytest.approx(0)
