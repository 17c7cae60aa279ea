"""Sweeps: every value of every word is checked before the first job starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_lab.config.check import faults_of
from llm_lab.config.sweep import JOBS_CHECKED, Plan, plan
from tests.config.light.conftest import write


def told(found: Plan) -> list[str]:
    faults = [*found.faults, *(fault for job in found.jobs for fault in faults_of(job))]
    return [str(fault) for fault in dict.fromkeys(faults)]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["optimizer.lr=1e-3,1e-4"], [1e-3, 1e-4]),
        (["optimizer.lr=choice(0.1, 0.2)", "seed=1"], [0.1, 0.2]),
        (["optimizer.lr=range(1, 4)"], [1, 2, 3]),
        (["optimizer=glob(*)"], [1.0, 1e-3]),
        (["optimizer.lr=interval(0.1, 0.9)"], [0.1, 0.9]),
        (["seed=1"], [1e-3]),
    ],
)
def test_jobs_of_a_sweep(tree: Path, words: list[str], values: list[float]) -> None:
    found = plan(words, multirun=True)
    assert [job.config.optimizer.lr for job in found.jobs] == values
    assert told(found) == []


def test_each_value_is_checked(tree: Path) -> None:
    lines = told(plan(["optimizer.lr=1e-3,fast", "model=small,minilmm", "model.width=1,2"], multirun=True))
    assert sorted(lines) == [
        "model: `minilmm` is not a choice of `model` (model=minilmm); did you mean `model=minilm`?",
        "optimizer.lr: must be float, not the text `fast` (optimizer.lr=fast)",
    ]


def test_a_large_sweep_is_checked_value_by_value(tree: Path) -> None:
    found = plan(["seed=range(0,20)", "model.width=1,2,wide", "optimizer.lr=1,2"], multirun=True)
    assert len(found.jobs) == 1 + 19 + 2 + 1 <= JOBS_CHECKED
    assert told(found) == ["model.width: must be int, not the text `wide` (model.width=wide)"]


def test_hydra_gets_the_words_and_one_directory_for_all_jobs(tree: Path) -> None:
    write(
        tree,
        {"hydra_sweep.yaml": "defaults: [config, _self_]\nhydra: {sweep: {dir: 'sweeps/${sweep_hash:}'}}\n"},
    )
    words = ["optimizer.momentum=0.1,0.2", "+experiment=sentiment", "data.batch_size=3"]
    found = plan(words, multirun=True, config_name="hydra_sweep")
    *first, folder = found.overrides
    assert first == ["++optimizer.momentum=0.1,0.2", "+experiment=sentiment", "++data.batch_size=3"]
    assert folder.startswith("hydra.sweep.dir='sweeps/")
    again = plan([words[1], words[2], words[0]], multirun=True, config_name="hydra_sweep")
    assert again.overrides[-1] == folder
    other = plan([*words, "seed=1"], multirun=True, config_name="hydra_sweep")
    assert other.overrides[-1] != folder
    assert plan([*words, "hydra.sweep.dir=x"], multirun=True).overrides[-1] == "hydra.sweep.dir=x"


def test_a_sweep_that_a_config_asks_for(tree: Path) -> None:
    text = (
        "defaults: [config, _self_]\nhydra: {mode: MULTIRUN, sweeper: {params: {optimizer.lr: '1,fast'}}}\n"
    )
    write(tree, {"many.yaml": text})
    found = plan([], config_name="many")
    assert found.multirun
    assert [job.config.optimizer.lr for job in found.jobs] == [1, "fast"]
    assert "must be float" in told(found)[0]


def test_a_word_that_cannot_be_read(tree: Path) -> None:
    assert "not an override" in told(plan(["seed=[", "optimizer.lr=1,2"], multirun=True))[0]


def test_jobs_that_would_share_a_directory(tree: Path) -> None:
    write(tree, {"own.yaml": "defaults: [config, _self_]\nhydra: {sweep: {subdir: '${run_hash:}'}}\n"})
    words = ["++trainer.devices=1,2", "seed=1,2"]
    lines = [str(fault) for fault in plan(words, multirun=True, config_name="own").faults]
    assert len(lines) == 2
    assert "`++trainer.devices=1` and `++trainer.devices=2` compute the same, in one directory" in lines[0]
    numbered = [*words, "hydra.sweep.subdir='${hydra.job.num}'"]
    assert plan(numbered, multirun=True, config_name="own").faults == []


def test_a_range_without_end(tree: Path) -> None:
    found = plan(["optimizer.lr=range(0,1000000000)"], multirun=True, root=tree / "conf", cwd=tree)
    assert [fault.message for fault in found.faults] == [
        "a range of 1000000000 values, of which 10000 are the most"
    ]
