"""Two runs beside each other, and a run as the baseline of another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result

QUICK = ("logger=none", "mode.report=false", "baseline=null")


def test_two_runs_are_compared_by_their_test_rows(toy: Path, lab: Callable[..., Result]) -> None:
    for name, epochs in (("one", 4), ("two", 1)):
        assert (
            lab("+experiment=toy", f"trainer.max_epochs={epochs}", *QUICK, f"hydra.run.dir={name}").code == 0
        )
    result = lab("compare", "one", "two")
    assert result.code == 0, result.err
    ours, theirs = (
        json.loads((toy / name / "metrics.json").read_text())["test/accuracy"] for name in ("one", "two")
    )
    assert f"{ours:.4f}" in result.out
    assert f"{ours - theirs:+.4f}" in result.out
    assert "paired bootstrap over the test rows" in result.out


def test_an_experiment_stands_for_its_runs_under_several_seeds(toy: Path, lab: Callable[..., Result]) -> None:
    for seed in (42, 43):
        words = ("+experiment=toy", f"seed={seed}", "trainer.max_epochs=1", *QUICK)
        assert lab(*words).code == 0
    word = "toy?trainer.max_epochs=1&logger=none&mode.report=false&baseline=null"
    result = lab("compare", word, word, "--seeds", "2")
    assert result.code == 0, result.err
    assert "none shown" in result.out
    assert "over seeds 42, 43 and the test rows" in result.out


def test_a_name_that_is_neither_is_told(toy: Path, lab: Callable[..., Result]) -> None:
    result = lab("compare", "toyy", "toy")
    assert result.code == 2
    assert "neither a run directory nor an experiment `toyy`; did you mean `toy`?" in result.err


def test_another_run_stands_beside_the_figure_with_the_difference(
    toy: Path, lab: Callable[..., Result]
) -> None:
    assert lab("+experiment=toy", "trainer.max_epochs=1", *QUICK, "hydra.run.dir=plain").code == 0
    beside = "+baseline.plain={_target_: llm_lab.baselines.another_run.AnotherRun, source: 'run://plain'}"
    result = lab("+experiment=toy", "logger=none", "hydra.run.dir=run", beside)
    assert result.code == 0, result.err
    found = json.loads((toy / "run" / "metrics.json").read_text())
    other = json.loads((toy / "plain" / "metrics.json").read_text())
    assert found["baseline/plain/accuracy"] == other["test/accuracy"]
    gap = found["test/accuracy"] - other["test/accuracy"]
    assert found["difference/plain/accuracy"] == pytest.approx(gap, abs=1e-6)
    assert found["difference/plain/accuracy_low"] <= found["difference/plain/accuracy_high"]
    assert "Difference to" in (toy / "run" / "report.md").read_text()
