"""What is wrong with a sweep is told before its first job: one line each, nothing started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result
from tests.sweeps.conftest import QUICK

OPTUNA = "hydra/sweeper=optuna"
LR = "optimizer.lr=interval(1e-4, 1e-2)"

BAD = [
    ([OPTUNA, LR, "hydra.sweeper.sampler=tpee"], ["hydra.sweeper.sampler", "`tpee`", "did you mean `tpe`?"]),
    ([OPTUNA, LR, "hydra.sweeper.pruner=ashaa"], ["hydra.sweeper.pruner", "`ashaa`", "did you mean `asha`?"]),
    ([OPTUNA, LR, "hydra.sweeper.n_trials=0"], ["hydra.sweeper.n_trials: must be 1 or more, but is 0"]),
    ([OPTUNA, LR, "+hydra.sweeper.n_trails=3"], ["n_trails: unknown key", "did you mean `n_trials`?"]),
    ([OPTUNA, LR, "hydra.sweeper.objective=val/los"], ["no job logs `val/los`", "did you mean `val/loss`?"]),
    ([OPTUNA, LR, "hydra.sweeper.direction=up"], ["`up` is no direction"]),
    ([OPTUNA, LR, "hydra.sweeper.sampler=grid"], ["optimizer.lr: a grid cannot go through an interval"]),
    ([OPTUNA, LR, "hydra.sweeper.sampler=cma_es"], ["cma_es needs two intervals or more"]),
    ([OPTUNA, LR, "hydra.sweeper.n_trials=null"], ["only a grid ends by itself"]),
    ([OPTUNA], ["there is nothing to search"]),
    ([OPTUNA, "optimizer.lr=tag(log, interval(0.0, 1e-2))"], ["interval(0, 0.01) has no logarithm"]),
    ([OPTUNA, "model.dropout=interval(0.1, 1.5)"], ["model.dropout", "between 0 and 1, but is 1.5"]),
    ([OPTUNA, "data.batch_size=choice(8, many)"], ["data.batch_size: must be int, not the text `many`"]),
    (
        [OPTUNA, LR, "hydra.sweeper.objective=[val/loss,val/accuracy]", "hydra.sweeper.pruner=asha"],
        ["trials with several objectives cannot be ended early"],
    ),
    ([LR], ["a grid cannot go through an interval", "hydra/sweeper=optuna"]),
    (["seed=1,2", "hydra.sweeper.seeds=[1,2]"], ["seed: is swept over, and hydra.sweeper.seeds is set too"]),
    (["seed=1,2", "sweep.on_failure=stopp"], ["sweep.on_failure", "`stopp`", "did you mean `stop`?"]),
]


@pytest.mark.parametrize(("words", "told"), BAD, ids=lambda value: str(value[-1])[:40])
def test_one_line_before_anything_starts(
    words: list[str], told: list[str], lab: Callable[..., Result], toy: Path
) -> None:
    result = lab(*QUICK, *words)
    assert result.code == 2
    assert "1 fault in the configuration" in result.err
    assert all(part in result.err for part in told), result.err
    assert not (toy / "runs").exists()


def test_a_launcher_whose_program_is_missing(
    lab: Callable[..., Result], toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(toy))
    result = lab(*QUICK, "seed=1,2", "hydra/launcher=submitit_slurm")
    assert result.code == 2
    assert "hydra/launcher=submitit_slurm: needs Slurm's sbatch and srun, not found on PATH" in result.err


def test_a_launcher_that_is_not_installed(
    lab: Callable[..., Result], toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_lab.sweeps.launchers.find_spec", lambda name: None)
    result = lab(*QUICK, "seed=1,2", "hydra/launcher=joblib")
    assert result.code == 2
    assert "pip install 'llm_lab[launchers]'" in result.err


def test_an_experiment_that_is_a_sweep_says_so_without_the_flag(
    lab: Callable[..., Result], toy: Path
) -> None:
    text = "# @package _global_\n# A sweep.\ndefaults: [toy]\nhydra: {sweeper: {params: {seed: '1,2'}}}\n"
    (toy / "conf/experiment/many.yaml").write_text(text)
    assert "(2 jobs)" in lab("check", "+experiment=many", "--multirun").out
    result = lab("+experiment=many", *QUICK[1:-1], "hydra.run.dir=one")
    assert result.code == 0
    assert "note: one run only; `--multirun` runs the sweep" in result.err


def test_the_command_line_wins_over_the_file(lab: Callable[..., Result], toy: Path) -> None:
    text = "# @package _global_\n# A sweep.\ndefaults: [toy]\nhydra: {sweeper: {params: {seed: '1,2'}}}\n"
    (toy / "conf/experiment/many.yaml").write_text(text)
    assert "(3 jobs)" in lab("check", "+experiment=many", "seed=3,4,5", "--multirun").out
    assert "(" not in lab("check", "+experiment=many", "seed=3", "--multirun").out
