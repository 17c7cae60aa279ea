"""Runs and sweeps as jobs of a real Slurm: started, preempted, queued again, cancelled."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.conftest import make_toy
from tests.launch.runs import (
    ENVIRONMENT,
    LAB,
    LIMIT,
    TOY,
    Started,
    difference,
    metrics,
    state,
    struck,
    trouble,
)
from tests.launch.waiting import until

pytestmark = pytest.mark.cluster
ENDED = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")


class Cluster:
    """A Slurm of our own and a working directory with the toy experiment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def tell(self, *words: str) -> str:
        """Run a Slurm command; returns what it prints."""
        environment = os.environ | ENVIRONMENT | self.environment
        return subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    def submit(self, *words: str) -> str:
        """Submit a run of two tasks as a user would, with a batch script; returns the job's number."""
        script = self.folder / "job.sh"
        command = " ".join(f"'{word}'" for word in (*LAB, *TOY, *words))
        script.write_text(
            f"#!/bin/bash\n#SBATCH --ntasks=2 --requeue --output=%j.out --open-mode=append\nsrun {command}\n"
        )
        return self.tell("sbatch", "--parsable", str(script)).strip()

    def facts(self, job: str) -> dict[str, str]:
        """What `scontrol` knows about a job."""
        words = self.tell("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def end(self, job: str) -> dict[str, str]:
        """Wait until a job is over; returns what `scontrol` knows about it."""
        until(lambda: self.facts(job)["JobState"] in ENDED, LIMIT, f"job {job} does not end")
        return self.facts(job)

    def run(self, job: str) -> Path:
        """The one run directory of a job."""
        (found,) = self.folder.glob(f"runs/toy/slurm-{job}.0-*")
        return found

    def said(self, job: str) -> str:
        """What a job printed."""
        return (self.folder / f"{job}.out").read_text()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if missing := slurm.missing():
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: slurm-wlm, munge)")
    folder = tmp_path_factory.mktemp("slurm")
    try:
        environment = slurm.start(folder / "daemons")
        yield Cluster(make_toy(folder / "work"), environment)
    finally:
        slurm.stop(folder / "daemons")


@pytest.fixture(scope="module")
def whole(cluster: Cluster) -> Path:
    """A run that nobody disturbed."""
    job = cluster.submit()
    assert cluster.end(job)["JobState"] == "COMPLETED", cluster.said(job)
    return cluster.run(job)


def test_two_tasks_train_one_run(whole: Path) -> None:
    assert state(whole)["state"] == "finished"
    assert metrics(whole)["run/world_size"] == 2
    assert sorted(path.name for path in (whole / "logs").glob("*.log")) == ["rank-0.log", "rank-1.log"]


def test_a_preempted_job_saves_comes_back_and_goes_on(cluster: Cluster, whole: Path) -> None:
    """First told by SIGUSR1, as `sbatch --signal` does, then requeued by Slurm itself, as its preemption does."""
    marks = cluster.folder / "first", cluster.folder / "second"
    words = [trouble(mark, step=step, rank=0, kind="hold") for mark, step in zip(marks, (6, 12), strict=True)]
    job = cluster.submit(words[0], words[1].replace("trouble=", "more=", 1))
    struck(marks[0], 0)
    cluster.tell("scancel", "--signal=USR1", job)
    struck(marks[1], 0)
    assert cluster.facts(job)["Restarts"] == "1"
    assert (cluster.run(job) / "checkpoints" / "step-7.ckpt").exists()
    cluster.tell("scontrol", "requeue", job)
    facts = cluster.end(job)
    assert (facts["JobState"], facts["Restarts"]) == ("COMPLETED", "2"), cluster.said(job)
    assert state(cluster.run(job))["state"] == "finished"
    assert difference(cluster.run(job), whole) == 0


def test_a_cancelled_job_saves_and_stays_away(cluster: Cluster) -> None:
    job = cluster.submit(trouble(cluster.folder / "cancelled", step=4, rank=0, kind="hold"))
    struck(cluster.folder / "cancelled", 0)
    cluster.tell("scancel", job)
    facts = cluster.end(job)
    run = cluster.run(job)
    until(lambda: state(run)["state"] != "running", 60, f"{run} is not closed")
    assert (facts["JobState"], facts["Restarts"]) == ("CANCELLED", "0")
    assert (run / "checkpoints" / "step-5.ckpt").exists()
    assert state(run)["state"] == "interrupted"


def test_a_sweep_of_jobs_of_two_tasks(cluster: Cluster) -> None:
    words = ["--multirun", "hydra/launcher=submitit_slurm", "hydra.launcher.tasks_per_node=2", "seed=1,2"]
    done = Started([*LAB, *TOY, *words], cwd=cluster.folder, **cluster.environment).end()
    assert done.code == 0, done.err
    runs = [path.parent for path in cluster.folder.glob("runs/sweeps/*/*/run.json")]
    assert [state(run)["state"] for run in runs] == ["finished"] * 2
    assert [metrics(run)["run/world_size"] for run in runs] == [2, 2]
    assert len([path for run in runs for path in run.glob("logs/rank-*.log")]) == 4
