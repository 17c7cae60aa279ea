"""The same sweep through every launcher that runs on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llm_lab.sweeps.launchers import THREADS, environment, width
from tests.conftest import Result, lab_process
from tests.sweeps.conftest import QUICK, table

JOBLIB = {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher", "n_jobs": -1}
WORDS = (*QUICK, "seed=1,2", "hydra.sweep.dir=sweep")


def both_finished(result: Result, folder: Path) -> None:
    assert result.code == 0, result.err
    assert "Warning" not in result.err, result.err
    rows = table(folder / "sweep")
    assert sorted((row["seed"], row["state"], row["step"]) for row in rows) == [
        ("1", "finished", "2"),
        ("2", "finished", "2"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_two_jobs_side_by_side(launcher: str, toy: Path) -> None:
    both_finished(lab_process(*WORDS, f"hydra/launcher={launcher}", cwd=toy), toy)
    assert (toy / "sweep" / ".submitit").is_dir() == (launcher == "submitit_local")


def test_jobs_side_by_side_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_lab.sweeps.launchers.cores", lambda: 8)
    monkeypatch.delenv(THREADS)
    assert width(JOBLIB, jobs=3) == 3
    assert width(JOBLIB | {"n_jobs": 2}, jobs=3) == 2
    assert width({"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}, jobs=3) == 1
    with environment(JOBLIB | {"n_jobs": 2}, jobs=8):
        assert os.environ[THREADS] == "4"
    assert THREADS not in os.environ
    monkeypatch.setenv(THREADS, "1")
    with environment(JOBLIB, jobs=8):
        assert os.environ[THREADS] == "1"


def test_threads_reach_the_jobs(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch uses in a process that joblib started."""
    monkeypatch.delenv(THREADS)
    monkeypatch.setattr("llm_lab.sweeps.launchers.cores", lambda: 6)
    from joblib import Parallel, delayed

    with environment(JOBLIB | {"n_jobs": 2}, jobs=2):
        found = Parallel(n_jobs=2, backend="loky")(delayed(os.environ.get)(THREADS) for _ in range(2))
    assert found == ["3", "3"]
