"""The shapes of the learning rate schedules."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import LRScheduler

from llm_lab.config import build
from llm_lab.errors import ConfigError
from tests.models.tiny import option, options


def rates(name: str, total: int = 100, **changes) -> list[float]:
    """The learning rate of each step of a run, and the one after its end."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    node = {**option("scheduler", name), **changes}
    schedule = build(node, expected=LRScheduler, key="scheduler", optimizer=optimizer, total_steps=total)
    values = [schedule.get_last_lr()[0]]
    for _ in range(total):
        optimizer.step()
        schedule.step()
        values.append(schedule.get_last_lr()[0])
    return values


@pytest.mark.parametrize("name", options("scheduler"))
def test_warm_up_may_be_a_share_or_a_number_of_steps(name):
    share, number = rates(name, warmup=0.2), rates(name, warmup=20)
    assert share == number
    assert share[:3] == pytest.approx([0.0, 0.05, 0.10])
    assert share[20] == pytest.approx(1.0)


@pytest.mark.parametrize("name", options("scheduler"))
@settings(max_examples=20, deadline=None)
@given(total=st.integers(1, 60), warmup=st.floats(0, 0.7))
def test_rates_stay_between_zero_and_the_full_rate(name, total, warmup):
    assert all(-1e-9 <= rate <= 1 + 1e-9 for rate in rates(name, total, warmup=warmup))


def test_constant_stays():
    assert set(rates("constant")) == {1.0}


def test_linear_falls_evenly_to_zero():
    values = rates("linear", warmup=0.0)
    assert values[50] == pytest.approx(0.5)
    assert values[100] == 0.0


def test_cosine_ends_at_its_lowest_rate():
    values = rates("cosine", warmup=0.0, min_lr_rate=0.1)
    assert values[50] == pytest.approx(0.55)
    assert values[100] == pytest.approx(0.1)


@pytest.mark.parametrize("shape", ["linear", "cosine", "1-sqrt"])
def test_wsd_is_flat_until_its_decay(shape):
    values = rates("wsd", warmup=0.1, decay=0.2, decay_type=shape)
    assert set(values[10:80]) == {1.0}
    assert 0 < values[90] < 1
    assert values[100] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("linear", {"warmup": 101}, r"scheduler.warmup: 101 is 101 steps of a run of 100"),
        ("linear", {"warmup": -0.1}, r"scheduler.warmup: -0.1"),
        ("wsd", {"warmup": 0.6, "decay": 0.6}, r"warm-up \(60\) and decay \(60\) exceed the run's 100 steps"),
    ],
)
def test_lengths_that_do_not_fit_are_named(name, changes, words):
    with pytest.raises(ConfigError, match=words):
        rates(name, **changes)
