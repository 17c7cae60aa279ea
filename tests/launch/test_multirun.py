"""A sweep of runs of several ranks: each job has one directory, one tracker run, and one log per rank."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import make_toy
from tests.launch.runs import LAB, TORCHRUN, TOY, Started, metrics, state

JOBS = ("--multirun", "seed=1,2", "logger=wandb", "trainer.max_epochs=1")
WAYS = {
    "ours": [*LAB, *TOY, "trainer.devices=2", *JOBS],
    "torchrun": [*TORCHRUN, "--standalone", "--nproc-per-node=2", "-m", "llm_lab", *TOY, *JOBS],
}


@pytest.mark.parametrize("way", WAYS)
def test_two_jobs_of_two_ranks(way: str, tmp_path: Path) -> None:
    make_toy(tmp_path)
    started = Started(WAYS[way], cwd=tmp_path)
    done = started.end()
    started.gone(30)
    assert done.code == 0, done.err
    runs = [path.parent for path in tmp_path.glob("runs/sweeps/*/*/run.json")]
    trackers = list(tmp_path.rglob("*.wandb"))
    logs = [path for run in runs for path in run.glob("logs/rank-*.log")]
    assert (len(runs), len(trackers), len(logs)) == (2, 2, 4)
    assert [(state(run)["state"], metrics(run)["run/world_size"]) for run in runs] == [("finished", 2)] * 2
