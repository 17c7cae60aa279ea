"""What a search asks for: its space, its journal, the same trial whenever it is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from llm_lab.sweeps.asking import Asker
from llm_lab.sweeps.journal import FILE, begin_trial, end_trial, open_journal
from llm_lab.sweeps.pruning import Judge
from llm_lab.sweeps.record import Objective, Sweep
from llm_lab.sweeps.space import Axis, axis_of, parse
from tests.conftest import Result
from tests.sweeps.conftest import QUICK, table
from tests.tracking.wandb_file import read_run

LOSS = (Objective(metric="val/loss", direction="minimize"),)
OPTIONS: dict[str, Any] = {"sampler": "tpe", "seed": 0, "startup": 2, "n_jobs": 1}
AXES = [
    Axis(key="lr", low=1e-5, high=1e-2, log=True),
    Axis(key="depth", low=1, high=4, integer=True),
    Axis(key="batch", texts=("16", "32")),
]


def axis(word: str) -> Axis:
    return axis_of(OverridesParser.create().parse_override(word))


@pytest.mark.parametrize(
    ("word", "distribution"),
    [
        ("a=interval(0.0, 0.5)", FloatDistribution(0.0, 0.5)),
        ("a=tag(log, interval(1e-5, 1e-3))", FloatDistribution(1e-5, 1e-3, log=True)),
        ("a=int(interval(1, 5))", IntDistribution(1, 5)),
        ("a=tag(log, int(interval(1, 64)))", IntDistribution(1, 64, log=True)),
        ("a=range(1, 8, 2)", IntDistribution(1, 7, step=2)),
        ("a=choice(16, x)", CategoricalDistribution(("16", "x"))),
        ("a=1,2", CategoricalDistribution(("1", "2"))),
    ],
)
def test_hydras_grammar_as_a_search_space(word: str, distribution: object) -> None:
    assert axis(word).distribution() == distribution


@given(st.floats(1e-6, 1e3), st.floats(1.001, 1e3), st.floats(0, 1))
def test_a_rounded_value_is_short_and_inside(low: float, factor: float, part: float) -> None:
    found = Axis(key="lr", low=low, high=low * factor)
    value = found.rounded(low + part * (found.high - low))
    assert found.low <= float(value) <= found.high
    assert axis_of(OverridesParser.create().parse_override(found.word(value))).texts == (repr(value),)


def test_the_command_line_wins_over_the_file() -> None:
    params = {"optimizer.lr": "interval(0.1, 0.2)", "seed": "1,2"}
    fixed, axes = parse(["optimizer.lr=0.3", "data.limit=9"], params, OverridesParser.create())
    assert fixed == ["optimizer.lr=0.3", "data.limit=9"]
    assert [one.name for one in axes] == ["seed"]


def run(folder: Path, count: int, **options: Any) -> list[dict[str, Any]]:
    """Trials of a study whose values are a function of their parameters; returns all parameters."""
    settings = OPTIONS | options
    study = open_journal(folder, LOSS)
    asker = Asker(study, AXES, Sweep(name="x", objectives=LOSS), settings)
    while (number := len(trials := study.get_trials(deepcopy=False))) < count:
        trial = begin_trial(study, asker.ask(number, trials, ()), asker.distributions)
        value = abs(trial.params["lr"] - 1e-3) + trial.params["depth"] / 100
        end_trial(study, trial, TrialState.COMPLETE, [value])
    return [trial.params for trial in study.get_trials()]


@pytest.mark.parametrize("sampler", ["tpe", "random", "cma_es"])
def test_a_search_that_stopped_goes_on_as_it_would_have(sampler: str, tmp_path: Path) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = run(tmp_path / "whole", 9, sampler=sampler)
    for count in (1, 4, 6, 9):
        parts = run(tmp_path / "parts", count, sampler=sampler)
    assert parts == whole
    assert len({repr(params) for params in whole}) > 5


def test_a_torn_line_is_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    run(tmp_path, 2)
    whole = (tmp_path / FILE).read_bytes()
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"op_code": 4, "worker_id": "x", "stu')
    assert len(open_journal(tmp_path, LOSS).trials) == 2
    run(tmp_path, 3)
    assert (tmp_path / FILE).read_bytes().startswith(whole)
    assert len(open_journal(tmp_path, LOSS).trials) == 3


def test_a_pruner_gives_the_same_answer_to_the_same_report(tmp_path: Path) -> None:
    Sweep(name="x", objectives=LOSS, pruner="asha", settings={"prune_from": 0.05, "reduction": 2}).write(
        tmp_path
    )
    study = open_journal(tmp_path, LOSS)
    for _ in range(3):
        begin_trial(study, {}, {})
    assert not Judge(tmp_path, 0).is_out(5, 0.5)
    assert Judge(tmp_path, 1).is_out(5, 0.9)
    assert Judge(tmp_path, 1).is_out(5, 0.9)  # killed before it could end, and issued again
    assert not Judge(tmp_path, 2).is_out(5, 0.1)
    assert [len(trial.intermediate_values) for trial in study.get_trials()] == [1, 1, 1]


def test_several_objectives(toy: Path, lab: Callable[..., Result]) -> None:
    words = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "optimizer.lr=interval(1e-3, 1e-2)"]
    result = lab(*QUICK, *words, "hydra.sweeper.objective=[val/loss,val/accuracy]", "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    values = [
        trial.values
        for trial in open_journal(toy / "sweep", (*LOSS, Objective(metric="x", direction="maximize"))).trials
    ]
    assert [len(both) for both in values] == [2, 2]
    assert {row["state"] for row in table(toy / "sweep")} == {"finished"}


def test_a_pruned_trial_is_no_failure(toy: Path, lab: Callable[..., Result]) -> None:
    words = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.pruner=asha", "logger=wandb"]
    words += ["hydra.sweeper.prune_from=0.05", "hydra.sweeper.sampler=grid", "optimizer.lr=1e-2,1e-6,1e-7"]
    words += ["trainer.max_steps=4", "trainer.val_check_interval=1", "hydra.sweep.dir=sweep"]
    result = lab(*QUICK, *words)
    assert result.code == 0, result.err
    assert "Traceback" not in result.out + result.err
    states = {row["optimizer.lr"]: row["state"] for row in table(toy / "sweep")}
    assert states["0.01"] == "finished"
    assert "pruned" in states.values()
    again = lab(*QUICK, *words)
    assert "[1/3]" not in again.out
    runs = [read_run(folder) for folder in sorted((toy / "sweep").glob("*/wandb"))]
    assert {run["group"] for run in runs} == {"sweep"}
    assert len({run["id"] for run in runs}) == 3
    assert {run["exit"] for run in runs} == {0}
    assert {run["summary"].get("run/state") for run in runs} >= {"pruned"}


def test_a_search_whose_question_has_changed_is_not_gone_on_with(
    toy: Path, lab: Callable[..., Result]
) -> None:
    words = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "hydra.sweep.dir=sweep"]
    assert lab(*QUICK, *words, "optimizer.lr=interval(1e-3, 1e-2)").code == 0
    assert lab(*QUICK, *words, "optimizer.lr=interval(1e-3, 1e-2)").code == 0
    result = lab(*QUICK, *words, "model.dropout=interval(0.0, 0.2)")
    assert result.code == 1
    assert "the space changed since" in result.err
    assert f"hydra.sweep.dir={toy / 'sweep'}-2" in result.err
    file = toy / "conf/experiment/toy.yaml"
    file.write_text(file.read_text() + "task: {metrics: {f1: null}}\n")
    result = lab(*QUICK, *words, "optimizer.lr=interval(1e-3, 1e-2)")
    assert (result.code, "another search: task changed" in result.err) == (1, True), result.err


def test_secrets_in_the_words_of_jobs_are_masked(toy: Path, lab: Callable[..., Result]) -> None:
    word = '+logger.x={_target_: pytorch_lightning.loggers.CSVLogger, save_dir: logs, prefix: "https://me:hunter2@x.org"}'
    result = lab(*QUICK, word, "seed=1,2", "hydra.sweep.dir=sweep")
    text = (toy / "sweep/sweep.json").read_text()
    assert result.code == 0, result.err
    assert "seed=2" in text
    assert "hunter2" not in text
