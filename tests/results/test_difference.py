"""Differences with their intervals: equal runs, better ones, other rows."""

from __future__ import annotations

import numpy as np
import pytest

from llm_lab.errors import RunError
from llm_lab.results.difference import compared, differences, interval
from llm_lab.results.rows import FILE, ratio, write_rows


def accuracy(right: np.ndarray) -> np.ndarray:
    return np.stack([right, np.ones_like(right)], axis=1).astype(float)


def test_equal_runs_differ_by_nothing():
    parts = accuracy(np.random.default_rng(0).random(300) < 0.7)
    assert interval([parts], [parts]) == (0.0, 0.0)


def test_rows_are_paired():
    """Two runs that differ in 30 of 400 rows, always in favour of the first, are told apart."""
    theirs = np.random.default_rng(0).random(400) < 0.6
    ours = theirs.copy()
    ours[np.flatnonzero(~theirs)[:30]] = True
    found = compared("accuracy", [accuracy(ours)], [accuracy(theirs)])
    assert found.value == pytest.approx(30 / 400)
    assert 0.045 < found.low < found.value < found.high < 0.11
    assert found.shown


def test_a_chance_difference_is_none():
    rng = np.random.default_rng(1)
    found = compared("accuracy", *([accuracy(rng.random(500) < 0.7)] for _ in range(2)))
    assert found.low < 0 < found.high
    assert not found.shown


def test_seeds_widen_the_interval():
    rng = np.random.default_rng(2)
    ours = [accuracy(rng.random(500) < rate) for rate in (0.6, 0.7, 0.8)]
    theirs = [accuracy(rng.random(500) < 0.6) for _ in range(3)]
    one = np.subtract(*interval(ours[1:2], theirs[1:2])[::-1])
    assert np.subtract(*interval(ours, theirs)[::-1]) > one


def test_the_f1_of_entities_is_that_of_their_sums():
    told = np.array([[2, 3], [0, 1], [4, 4]])
    assert ratio(told) == pytest.approx(6 / 8)
    found = compared("f1", [told.astype(float)], [np.array([[0.0, 3], [0, 1], [4, 4]])])
    assert found.value == pytest.approx(2 / 8)


def test_a_metric_that_is_no_such_ratio_is_left_out(tmp_path):
    write_rows(
        tmp_path,
        {"accuracy": accuracy(np.array([1, 0]))},
        metrics={"test/accuracy": 0.7},
        rows=[{"text": "a"}],
    )
    assert not (tmp_path / FILE).exists()


def test_runs_on_other_rows_are_not_compared(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        parts = {"accuracy": accuracy(np.array([1, 0]))}
        write_rows(tmp_path / name, parts, metrics={"test/accuracy": 0.5}, rows=[{"text": name}])
    with pytest.raises(RunError, match="were tested on other rows"):
        differences([tmp_path / "a"], [tmp_path / "b"])
    assert differences([tmp_path / "a"], [tmp_path / "a"])[0].value == 0
    with pytest.raises(RunError, match=f"kept no {FILE}"):
        differences([tmp_path], [tmp_path / "a"])
