"""Every choice of every group is built and trained for two steps on the toy experiment."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Result

GROUPS = ("optimizer", "scheduler", "logger", "mode", "trainer")
CHOICES = [
    f"{group}={path.stem}" for group in GROUPS for path in sorted((ROOT / "conf" / group).glob("*.yaml"))
]
CHOICES += [
    "strategy=auto",
    "callbacks=default",
    "callbacks=[default,ema]",
    "callbacks=[default,swa]",
    "logger=[csv,tensorboard]",
    "baseline=text_classification",
    "baseline=text_classification_zh",
    "task/regularizers=[r_drop,fgm,smart]",
]
NO_REPORT = ("mode.report=false", "mode.baseline=false", "paths.runs=runs")


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_trains(choice: str, toy: Path, lab: Callable[..., Result]) -> None:
    quick = () if choice.startswith(("baseline", "mode")) else NO_REPORT

    result = lab("+experiment=toy", "+debug=smoke", choice, *quick, "hydra.run.dir=run")
    assert result.code == 0, result.err
    assert (toy / "run" / "model" / "config.json").is_file()


def test_every_strategy_is_trained_over_ranks() -> None:
    """Those for several ranks train in pairs, see `tests.strategies`."""
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "strategies").glob("test_*.py"))
    names = {path.stem for path in (ROOT / "conf" / "strategy").glob("*.yaml")} - {"auto"}
    assert {name for name in names if not re.search(rf'strategy={name}["\\s]', tests)} == set()


@pytest.mark.parametrize("group", ["baseline", "task"])
def test_every_kind_of_problem_is_some_experiments(group: str) -> None:
    """What does not suit the toy trains for two steps as an experiment, see `test_experiments`, or in its own tests."""
    texts = "".join(path.read_text() for path in (ROOT / "conf" / "experiment").glob("*.yaml"))
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    names = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
    unseen = {name for name in names if f"override /{group}: {name}\n" not in texts}
    assert {name for name in unseen if f"{group}={name}" not in tests and f'"{name}"' not in tests} == set()


def test_no_group_is_forgotten() -> None:
    elsewhere = {
        "strategy",
        "launch",
        "callbacks",
        "data",
        "model",
        "task",
        "experiment",
        "debug",
        "size",
        "ablate",
        "hydra",
        "paths",
        "pipeline",
        "peft",
        "baseline",
        "knowledge",
    }
    assert {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()} <= elsewhere | set(GROUPS)
