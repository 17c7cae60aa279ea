"""Ranks that are started again when one of them dies go on in the same run directory, to the same end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import make_toy
from tests.launch.runs import LAB, TORCHRUN, TOY, TWO, Started, difference, metrics, state, struck, trouble

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("restart"))


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    assert Started([*LAB, *TWO, "hydra.run.dir=whole"], cwd=folder).end().code == 0
    return folder / "whole"


def test_ranks_that_we_start(folder: Path, whole: Path) -> None:
    words = [trouble(folder / "trouble", step=9, kind="kill"), "launch.elastic=true", "paths.runs=ours"]
    started = Started([*LAB, *TWO, *words], cwd=folder)
    struck(folder / "trouble", 1)
    done = started.end()
    started.gone(30)
    assert done.code == 0, done.err
    (run,) = (path.parent for path in folder.glob("ours/toy/*/run.json"))
    assert (state(run)["state"], metrics(run)["run/world_size"]) == ("finished", 2)
    assert difference(run, whole) == 0


def test_ranks_that_torchrun_starts_again_in_the_second_job_of_a_sweep(folder: Path, whole: Path) -> None:
    words = [trouble(folder / "again", step=15, kind="kill"), "paths.runs=torchrun"]  # an epoch has 11 steps
    run = (*TORCHRUN, "--standalone", "--nproc-per-node=2", "--max-restarts=1", "-m", "llm_lab", *TOY, *words)
    started = Started([*run, "--multirun", "trainer.max_epochs=1,2"], cwd=folder)
    struck(folder / "again", 1)
    done = started.end()
    started.gone(30)
    assert done.code == 0, done.err
    runs = [path.parent for path in folder.glob("torchrun/sweeps/*/*/run.json")]
    assert sorted((metrics(run)["run/steps"], state(run)["state"]) for run in runs) == [
        (11, "finished"),
        (22, "finished"),
    ]
    (second,) = (run for run in runs if metrics(run)["run/steps"] == 22)
    assert difference(second, whole) == 0


@pytest.mark.parametrize("to", ["rank", "parent"])
def test_a_request_to_stop_reaches_all_ranks(to: str, folder: Path) -> None:
    run = folder / f"stopped-{to}"
    words = [trouble(folder / f"held-{to}", step=5, rank=0, kind="hold"), f"hydra.run.dir={run}"]
    started = Started([*LAB, *TWO, *words], cwd=folder)
    rank = struck(folder / f"held-{to}", 0)
    os.kill(rank if to == "rank" else started.process.pid, signal.SIGTERM)
    done = started.end()
    started.gone(30)
    assert done.code == 130 and f"llm_lab resume {run}" in done.err, done.err
    assert state(run)["state"] == "interrupted"
    assert (run / "checkpoints" / "step-6.ckpt").exists()
