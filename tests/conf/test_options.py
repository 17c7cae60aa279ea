"""Every choice of every group is built and trained for two steps on the toy experiment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Result

GROUPS = ("optimizer", "scheduler", "logger", "strategy", "baseline", "mode", "trainer")
CHOICES = [
    f"{group}={path.stem}" for group in GROUPS for path in sorted((ROOT / "conf" / group).glob("*.yaml"))
]
CHOICES += [
    "callbacks=default",
    "callbacks=[default,ema]",
    "callbacks=[default,swa]",
    "logger=[csv,tensorboard]",
]
NO_REPORT = ("mode.report=false", "mode.baseline=false", "paths.runs=runs")


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_trains(choice: str, toy: Path, lab: Callable[..., Result]) -> None:
    quick = () if choice.startswith(("baseline", "mode")) else NO_REPORT

    result = lab("+experiment=toy", "+debug=smoke", choice, *quick, "hydra.run.dir=run")
    assert result.code == 0, result.err
    assert (toy / "run" / "model" / "config.json").is_file()


def test_no_group_is_forgotten() -> None:
    elsewhere = {"callbacks", "data", "model", "task", "experiment", "debug", "hydra", "paths"}
    assert {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()} <= elsewhere | set(GROUPS)
