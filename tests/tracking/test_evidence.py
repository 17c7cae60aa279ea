"""The manifest, and what the other trackers get."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from llm_lab.tracking.evidence import git_state, manifest
from llm_lab.tracking.trackers import close_all, describe, locations, publish

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture
def config() -> DictConfig:
    return OmegaConf.create({"name": "toy", "seed": 7, "data": {"source": "file://x.csv"}})


def test_manifest_says_what_is_needed_to_run_again(config: DictConfig) -> None:
    facts = manifest(config, fingerprint="f00d", words=["+experiment=toy"])
    assert facts["seed"] == 7
    assert facts["data_fingerprint"] == "f00d"
    assert facts["words"] == ["+experiment=toy"]
    assert len(facts["config_hash"]) == 12
    assert {"torch", "transformers", "llm-lab", "pytorch-lightning"} <= facts["packages"].keys()
    assert facts["cores"] >= 1
    assert facts["cpu"]
    assert json.loads(json.dumps(facts)) == facts


def test_hash_follows_the_config(config: DictConfig) -> None:
    other = OmegaConf.merge(config, {"seed": 8})
    assert isinstance(other, DictConfig)
    assert manifest(config)["config_hash"] != manifest(other)["config_hash"]


def test_environment_values_are_masked_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_MINE", "s3cr3t-value")
    config = OmegaConf.create({"name": "x", "seed": 1, "data": {"token": "${oc.env:TOKEN_OF_MINE}"}})
    assert "s3cr3t-value" not in json.dumps(manifest(config, words=["data.url=http://h/?t=s3cr3t-value"]))


def test_git_state_tells_commit_and_dirt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "a").write_text("1")
    subprocess.run([*git, "add", "a"], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    clean = git_state(tmp_path)
    assert clean is not None
    assert clean["dirty"] is False
    assert len(clean["commit"]) == 40
    (tmp_path / "a").write_text("2")
    assert (git_state(tmp_path) or {})["dirty"] is True


def test_csv_and_tensorboard_side_by_side(tmp_path: Path) -> None:
    loggers = [
        CSVLogger(str(tmp_path), name="csv"),
        TensorBoardLogger(str(tmp_path), name="tensorboard", version=""),
    ]
    describe(loggers, config={"seed": 1}, manifest={"config_hash": "abc"})
    for logger in loggers:
        logger.log_metrics({"train/loss": 0.5}, step=1)
    publish(loggers, metrics={"test/accuracy": 0.9}, report=tmp_path / "report.html")
    close_all(loggers, 0)
    table = next(tmp_path.glob("csv/*/metrics.csv"))
    assert next(csv.DictReader(table.open()))["train/loss"] == "0.5"
    assert list(tmp_path.glob("tensorboard/events.*"))
    assert set(locations(loggers)) == {"csv", "tensorboard"}


def test_tracker_that_cannot_be_closed_does_not_hide_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(CSVLogger):
        def finalize(self, status: str) -> None:
            raise OSError("disk full")

    closed: list[str] = []

    class Fine(CSVLogger):
        def finalize(self, status: str) -> None:
            closed.append(status)

    close_all([Broken(str(tmp_path)), Fine(str(tmp_path))], 1)
    assert closed == ["failed"]
    assert "disk full" in caplog.text


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("wandb", {"wandb"}),
        ("csv", {"csv"}),
        ("none", set()),
        ("[wandb,csv,tensorboard]", {"wandb", "csv", "tensorboard"}),
    ],
)
def test_trackers_are_chosen_by_name_and_several_at_once(choice: str, names: set[str]) -> None:
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose(
            "config",
            overrides=[f"logger={choice}", "hydra/job_logging=default", "hydra/hydra_logging=default"],
        )
    assert set(config.get("logger") or {}) == names
