"""What a user finds in a run directory, and what the terminal says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.conftest import Result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.conftest import lab_process, make_toy

    folder = make_toy(tmp_path_factory.mktemp("train"))
    result = lab_process("+experiment=toy", "hydra.run.dir=run", cwd=folder)
    assert result.code == 0, result.err
    (folder / "out.txt").write_text(result.out)
    (folder / "err.txt").write_text(result.err)
    return folder / "run"


def test_the_run_directory(run: Path) -> None:
    for name in ("config.yaml", "metrics.json", "report.md", "report.html", "run.json", "llm_lab.log"):
        assert (run / name).is_file(), name
    assert list((run / "checkpoints").glob("best-*.ckpt"))
    assert (run / "model" / "model.safetensors").is_file()
    state = json.loads((run / "run.json").read_text())
    assert (state["state"], state["exit_code"], state["name"]) == ("finished", 0, "toy")
    assert state["words"] == ["+experiment=toy"]


def test_metrics_are_flat_and_the_model_learnt(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert all(not isinstance(value, dict | list) for value in metrics.values())
    assert metrics["test/accuracy"] > 0.9
    assert metrics["baseline/majority/accuracy"] < 0.7
    assert {
        "val/loss",
        "test/f1",
        "test/matthews",
        "test/ece",
        "run/seconds",
        "run/world_size",
    } <= metrics.keys()


def test_the_table_on_the_terminal(run: Path) -> None:
    out = (run.parent / "out.txt").read_text()
    for word in ("Accuracy", "Matthews", "Majority", "TF-IDF", "run/model", "report.html"):
        assert word in out, word
    assert "Traceback" not in (run.parent / "err.txt").read_text()


def test_the_stored_config_is_resolved(run: Path) -> None:
    config = OmegaConf.load(run / "config.yaml")
    assert config.optimizer.lr == 0.01
    assert "hydra" not in config
    assert "${" not in (run / "config.yaml").read_text()


def test_evaluate_gives_the_figures_of_the_run(run: Path, lab: Callable[..., Result]) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    result = lab("evaluate", str(run))
    assert result.code == 0, result.err
    (kept,) = (run / "evaluations").glob("*.json")
    again = json.loads(kept.read_text())["metrics"]
    assert again["test/accuracy"] == pytest.approx(metrics["test/accuracy"])
    assert again["test/loss"] == pytest.approx(metrics["test/loss"], abs=1e-5)


def test_evaluate_names_the_nearest_key(run: Path, lab: Callable[..., Result]) -> None:
    result = lab("evaluate", str(run), "data.batch_siz=4")
    assert result.code == 2
    assert "did you mean `data.batch_size`?" in result.err


def test_an_unexpected_failure(
    toy: Path, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_lab.tasks.sequence_classification import SequenceClassification

    def boom(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(SequenceClassification, "training_step", boom)
    result = lab("+experiment=toy", "hydra.run.dir=failed")
    assert result.code == 1
    assert "boom" in result.err
    assert "Traceback" not in result.err
    assert "Traceback" in (toy / "failed" / "llm_lab.log").read_text()
    assert json.loads((toy / "failed" / "run.json").read_text())["state"] == "failed"


def test_two_processes_cannot_share_a_run(toy: Path, lab: Callable[..., Result]) -> None:
    from filelock import FileLock

    (toy / "held").mkdir()
    with FileLock(toy / "held" / ".lock"):
        result = lab("+experiment=toy", "hydra.run.dir=held")
    assert result.code == 1
    assert "held" in result.err


def test_a_sweep_issued_again_runs_only_what_is_missing(toy: Path, lab: Callable[..., Result]) -> None:
    words = ["+experiment=toy", "+debug=smoke", "optimizer.lr=0.01,0.02", "--multirun"]
    assert lab(*words).code == 0
    done = sorted(toy.glob("runs/sweeps/*/*/metrics.json"))
    assert len(done) == 2
    times = [path.stat().st_mtime_ns for path in done]
    assert lab(*words).code == 0
    assert sorted(toy.glob("runs/sweeps/*/*/metrics.json")) == done
    assert [path.stat().st_mtime_ns for path in done] == times
