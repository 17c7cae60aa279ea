"""Weights & Biases: what a user finds afterwards, read from wandb's own file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm_lab.errors import ConfigError
from llm_lab.tracking import close_all
from llm_lab.tracking.trackers import describe, locations, publish
from llm_lab.tracking.wandb import WandbLogger, chosen_mode
from tests.tracking.wandb_file import read_run

pytestmark = pytest.mark.usefixtures("fresh_wandb")
KEY = "a" * 40
NOBODY = "http://127.0.0.1:9"  # a port of this machine on which nothing listens


@pytest.mark.parametrize("exit_code", [0, 1, 130])
def test_offline_run_holds_config_history_summary_and_the_true_exit_code(
    tmp_path: Path, exit_code: int
) -> None:
    logger = WandbLogger(save_dir=str(tmp_path), name="toy", group="sweep-1")
    describe([logger], config={"seed": 3}, manifest={"config_hash": "abc"})
    for step in range(3):
        logger.log_metrics({"train/loss": 1.0 - step / 10}, step=step)
    publish([logger], metrics={"test/accuracy": 0.9, "test/f1": float("nan")}, report=tmp_path / "none.html")
    close_all([logger], exit_code)

    run = read_run(tmp_path / "wandb")
    assert run["exit"] == exit_code
    assert run["config"]["seed"] == 3
    assert run["config"]["manifest"] == {"config_hash": "abc"}
    assert [row["train/loss"] for row in run["history"]] == [1.0, 0.9, 0.8]
    assert run["summary"]["test/accuracy"] == 0.9
    assert run["group"] == "sweep-1"


def test_no_key_and_no_terminal_goes_offline_at_once(tmp_path: Path) -> None:
    started = time.monotonic()
    logger = WandbLogger(save_dir=str(tmp_path))
    logger.log_metrics({"x": 1.0}, step=0)
    close_all([logger], 0)
    assert time.monotonic() - started < 15
    assert Path(locations([logger])["wandb"]).is_relative_to(tmp_path)


def test_server_that_cannot_be_reached_is_one_warning_and_an_offline_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", NOBODY)
    started = time.monotonic()
    logger = WandbLogger(save_dir=str(tmp_path), init_timeout=2, finish_timeout=2)
    logger.log_metrics({"x": 1.0}, step=0)
    close_all([logger], 1)
    assert time.monotonic() - started < 30
    warnings = [record.getMessage() for record in caplog.records if record.name == "llm_lab.tracking.wandb"]
    assert len(warnings) == 1
    assert "going on offline" in warnings[0]
    assert "\n" not in warnings[0]
    assert read_run(tmp_path / "wandb")["exit"] == 1


def test_resumed_run_goes_on_under_the_same_id(tmp_path: Path) -> None:
    ids = []
    for exit_code in (130, 0):
        logger = WandbLogger(save_dir=str(tmp_path))
        logger.log_metrics({"x": 1.0}, step=0)
        close_all([logger], exit_code)
        ids.append(read_run(tmp_path / "wandb")["id"])
    assert ids[0] == ids[1]


def test_killed_run_keeps_what_was_logged(tmp_path: Path) -> None:
    program = (
        "import sys, time; from llm_lab.tracking.wandb import WandbLogger\n"
        "logger = WandbLogger(save_dir=sys.argv[1]); logger.log_metrics({'x': 1.5}, step=0)\n"
        "print('logged', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "logged\n"
    end = time.monotonic() + 20
    while time.monotonic() < end and not read_run(tmp_path / "wandb")["history"]:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run = read_run(tmp_path / "wandb")
    assert [row["x"] for row in run["history"]] == [1.5]
    assert run["exit"] is None


@pytest.mark.parametrize(
    ("mode", "key", "chosen"),
    [
        ("", "", "offline"),
        ("", KEY, "online"),
        ("offline", KEY, "offline"),
        ("dryrun", KEY, "offline"),
        ("disabled", KEY, "disabled"),
        ("online", "", "offline"),
    ],
)
def test_mode_follows_the_variable_and_the_key(
    mode: str, key: str, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert chosen_mode() == chosen


def test_unknown_mode_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "ofline")
    with pytest.raises(ConfigError, match="WANDB_MODE: ofline is none of online, offline"):
        chosen_mode()


def test_key_in_netrc_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "keys"
    netrc.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert chosen_mode() == "online"


def test_upload_that_takes_too_long_says_how_to_do_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logger = WandbLogger(save_dir=str(tmp_path))
    run = logger.experiment
    finish = run.finish

    def too_late(exit_code: int) -> None:
        finish(exit_code=exit_code)
        raise TimeoutError

    monkeypatch.setattr(run, "finish", too_late)
    close_all([logger], 0)
    assert f"wandb sync {tmp_path}" in caplog.text


def test_disabled_run_has_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    logger = WandbLogger(save_dir=str(tmp_path))
    logger.log_metrics({"x": 1.0}, step=0)
    close_all([logger], 0)
    assert logger.location == ""
