"""The benchmarks of pretraining measure what they say."""

from __future__ import annotations

import math

import pytest
import torch

from llm_lab.bench import language, nanogpt, pretrained, shakespeare
from llm_lab.bench.clock import Clock


def test_nanogpt_is_of_the_published_size() -> None:
    model = nanogpt.Characters(65)
    assert sum(parameter.numel() for parameter in model.parameters()) == 804_096
    assert nanogpt.rate(0) == pytest.approx(1e-3 / 101)
    assert nanogpt.rate(100) == pytest.approx(1e-3)
    assert nanogpt.rate(2000) == pytest.approx(1e-4)


def test_nanogpt_learns_and_its_curve_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nanogpt, "EVERY", 15)
    streams = dict.fromkeys(("train", "val"), torch.arange(5).repeat(60))
    figures = nanogpt.train(streams, 5, seed=1, steps=30)
    (half, loss), (end, last) = figures["curve"]
    assert last < loss < math.log(5)
    assert 0 < half < end < figures["seconds"]


def test_the_curve_does_not_count_validations(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 12.0, 15.0, 16.0, 20.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = Clock()
    clock.start()
    for loss in (2.0, 1.8):
        clock.pause()
        clock.go_on(loss)
    assert clock.curve == [(2.0, 2.0), (3.0, 1.8)]


def test_the_tables_take_ratios_within_rounds() -> None:
    rounds = {
        name: [{"tokens_per_second": speed, "share_of_peak": 0.5} for speed in speeds]
        for name, speeds in (("ours", (300.0, 30.0)), ("Trainer", (200.0, 20.0)))
    }
    assert language.row("Trainer", rounds) == ["Trainer", "110", "50%", "1.50"]
    one = {"seed": 1, "command": 20.0, "curve": [(5.0, 2.0), (9.0, 1.88), (12.0, 1.8)]}
    curve = "5 2.000, 9 1.880, 12 1.800"
    assert shakespeare.row("ours", one) == ["ours", "1", "9.0", "12.0", "20.0", "1.8000", curve]
    assert shakespeare.reached(one | {"curve": one["curve"][:1]}) == math.inf
    late = one | {"curve": [(5.0, 2.0), (36.0, 1.9)]}
    assert shakespeare.compared([one], [one | {"curve": [(18.0, 1.8)]}]) == "0.50"
    assert shakespeare.compared([one], [late]) == "nanoGPT's not reached within 36 s: at most 0.25"
    assert shakespeare.compared([late], [one]) == "ours not reached within 36 s: at least 4.00"
    assert shakespeare.compared([late], [late]).startswith("unknown; ours not reached within 36 s")
    several = [{"accuracy": 0.8, "seconds": 5.0}, {"accuracy": 0.7, "seconds": 7.0}]
    assert pretrained.row("ours", several) == ["ours", "0.7500", "0.800 0.700", "6"]
