"""Killed at any moment and issued again, a sweep ends in the table that it would have had."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.sweeps.conftest import QUICK, Issue, table

SWEEPS = {
    "grid": ("optimizer.lr=1e-2,1e-3,1e-4",),
    "optuna": (
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=4",
        "hydra.sweeper.startup=2",
        "hydra.sweeper.pruner=asha",
        "hydra.sweeper.prune_from=0.1",
        "trainer.max_steps=4",
        "trainer.val_check_interval=1",
        "optimizer.lr=tag(log, interval(1e-4, 1e-1))",
        "model.dropout=interval(0.0, 0.5)",
    ),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_five_kills_change_nothing(name: str, issue: Issue, toy: Path) -> None:
    words = (*QUICK, *SWEEPS[name])
    undisturbed = issue(*words, "hydra.sweep.dir=whole")
    assert undisturbed["code"] == 0
    rng, codes = random.Random(name), []
    for _ in range(5):
        moment = undisturbed["seconds"] * rng.uniform(0.1, 0.6)
        codes.append(issue(*words, "hydra.sweep.dir=broken", kill_after=moment)["code"])
    assert -9 in codes
    assert issue(*words, "hydra.sweep.dir=broken")["code"] == 0
    assert table(toy / "broken") == table(toy / "whole")
