"""A failed job is recorded, told in one line and never stops the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_lab.errors import Interrupted
from llm_lab.tasks.sequence_classification import SequenceClassification
from tests.conftest import Result
from tests.sweeps.conftest import QUICK, table

Lab = Callable[..., Result]
TWO = (*QUICK, "optimizer.lr=1e-2,1e-3", "hydra.sweep.dir=sweep")
STEP = SequenceClassification.training_step


def fails_at(calls: list[int], error: BaseException) -> Any:
    """A training step that raises at some of its calls."""
    seen = iter(range(1000))

    def step(self: SequenceClassification, batch: Any) -> Any:
        if next(seen) in calls:
            raise error
        return STEP(self, batch)

    return step


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def patch(*calls: int, error: BaseException | None = None) -> None:
        step = fails_at(list(calls), error or ValueError("boom\nand more"))
        monkeypatch.setattr(SequenceClassification, "training_step", step)

    return patch


def states(folder: Path) -> list[str]:
    jobs = json.loads((folder / "sweep.json").read_text())["jobs"]
    files = [folder / job["directory"] / "run.json" for job in jobs]
    return [json.loads(file.read_text())["state"] if file.is_file() else "" for file in files]


def test_the_others_go_on_and_the_same_command_repeats_it(
    toy: Path, lab: Lab, fails: Callable[..., None]
) -> None:
    fails(0)
    result = lab(*TWO)
    assert result.code == 1
    assert states(toy / "sweep") == ["failed", "finished"]
    lines = result.err.strip().splitlines()
    assert lines[0] == "error: 1 of 2 jobs failed; the same command runs them again"
    assert lines[1].startswith("  optimizer.lr=0.01: failed: ValueError: boom (")
    assert len(lines) == 2
    assert [row["state"] for row in table(toy / "sweep")] == ["finished", "failed"]
    first = json.loads((toy / "sweep" / "sweep.json").read_text())["jobs"][0]["directory"]
    assert json.loads((toy / "sweep" / first / "run.json").read_text())["error"] == {
        "kind": "failed",
        "message": "ValueError: boom",
    }
    assert "and more" in (toy / "sweep" / first / "llm_lab.log").read_text()
    again = lab(*TWO)
    assert again.code == 0
    assert "[1/2] optimizer.lr=0.01" in again.out and "[2/2]" not in again.out
    assert "error" not in json.loads((toy / "sweep" / first / "run.json").read_text())
    assert states(toy / "sweep") == ["finished", "finished"]


def test_stop_starts_no_further_job(toy: Path, lab: Lab, fails: Callable[..., None]) -> None:
    fails(0)
    assert lab(*TWO, "sweep.on_failure=stop").code == 1
    assert states(toy / "sweep") == ["failed", ""]
    assert sorted(row["state"] for row in table(toy / "sweep")) == ["failed", "pending"]
    assert lab(*TWO, "sweep.on_failure=stop").code == 0


def test_retry_repeats_but_not_what_ran_out_of_memory(
    toy: Path, lab: Lab, fails: Callable[..., None]
) -> None:
    fails(0, 1, error=torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    result = lab(*TWO, "sweep.on_failure=retry")
    assert result.code == 1
    assert states(toy / "sweep") == ["failed", "failed"]
    assert "out of memory: OutOfMemoryError: CUDA out of memory" in result.err
    fails(0, 3)
    result = lab(*TWO, "sweep.on_failure=retry", "sweep.retries=2")
    assert result.code == 0
    assert result.out.count("failed: ValueError: boom, once more") == 2
    assert states(toy / "sweep") == ["finished", "finished"]


def test_ctrl_c_leaves_the_table_and_the_same_command_goes_on(
    toy: Path, lab: Lab, fails: Callable[..., None]
) -> None:
    fails(2, error=Interrupted())
    result = lab(*TWO)
    assert result.code == 130
    assert "the same command goes on" in result.err
    assert (toy / "sweep" / "sweep.html").is_file()
    assert [row["state"] for row in table(toy / "sweep")] == ["finished", "interrupted"]
    again = lab(*TWO)
    assert again.code == 0
    assert "[1/2]" not in again.out


def test_what_differs_in_no_content_is_no_other_sweep(toy: Path, lab: Lab) -> None:
    words = (*QUICK, "optimizer.lr=1e-2,1e-3")
    assert lab(*words).code == 0
    assert "[1/2]" not in lab(*words, "sweep.on_failure=retry", "hydra.sweeper.max_batch_size=1").out
    assert len(list(toy.glob("runs/sweeps/*/sweep.json"))) == 1


def test_seeds_are_a_dimension(toy: Path, lab: Lab) -> None:
    assert (
        lab(*QUICK, "optimizer.lr=1e-2,1e-3", "hydra.sweeper.seeds=[1,2]", "hydra.sweep.dir=sweep").code == 0
    )
    record = json.loads((toy / "sweep" / "sweep.json").read_text())
    assert record["seeds"] == [1, 2]
    assert [(job["trial"], job["seed"]) for job in record["jobs"]] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert sorted(row["seed"] for row in table(toy / "sweep")) == ["1", "1", "2", "2"]
