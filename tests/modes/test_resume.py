"""A run that was stopped anywhere and resumed ends in the very bits of the uninterrupted one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import Result, lab_process

WORDS = ["+experiment=toy", "callbacks.resume.interval=0.05", "model.dropout=0.1"]
KILL_AT = """
import os, signal, sys
import pytorch_lightning as pl
from llm_lab.callbacks.step_seed import StepSeed
step, number = int(sys.argv.pop(1)), getattr(signal, sys.argv.pop(1))
start = StepSeed.on_train_batch_start
def killing(self, trainer, *rest):
    start(self, trainer, *rest)
    if trainer.global_step == step:
        os.kill(os.getpid(), number)
StepSeed.on_train_batch_start = killing
from llm_lab.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def train_and_stop(step: int, how: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILL_AT, str(step), how, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def whole(toy: Path, lab: Callable[..., Result]) -> Path:
    assert lab(*WORDS, "hydra.run.dir=whole").code == 0
    return toy / "whole"


def test_the_same_seed_gives_the_same_bits(whole: Path, toy: Path, lab: Callable[..., Result]) -> None:
    assert lab(*WORDS, "hydra.run.dir=again").code == 0
    assert same(whole, toy / "again")
    assert lab(*WORDS, "seed=7", "hydra.run.dir=other").code == 0
    assert not same(whole, toy / "other")


def test_killed_anywhere_and_resumed(whole: Path, toy: Path, lab: Callable[..., Result]) -> None:
    last = json.loads((whole / "metrics.json").read_text())["run/steps"]
    for step in random.Random(4).sample(range(2, int(last)), 3):
        name = f"killed-{step}"
        done = train_and_stop(step, "SIGKILL", *WORDS, f"hydra.run.dir={name}", cwd=toy)
        assert done.returncode == -signal.SIGKILL
        assert not (toy / name / "model").exists()
        assert lab("resume", name).code == 0
        assert same(whole, toy / name), f"killed at step {step}"


def test_ctrl_c_saves_and_resumes(whole: Path, toy: Path, lab: Callable[..., Result]) -> None:
    done = train_and_stop(7, "SIGINT", *WORDS, "callbacks.resume=null", "hydra.run.dir=stopped", cwd=toy)
    assert done.returncode == 130
    assert "resume" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((toy / "stopped" / "run.json").read_text())["state"] == "interrupted"
    assert [path.name for path in (toy / "stopped" / "checkpoints").glob("step-*")] == ["step-8.ckpt"]
    assert lab("resume", "stopped").code == 0
    assert same(whole, toy / "stopped")


def test_a_torn_checkpoint_falls_back_to_the_one_before(
    whole: Path, toy: Path, lab: Callable[..., Result], tmp_path: Path
) -> None:
    train_and_stop(20, "SIGKILL", *WORDS, "hydra.run.dir=torn", cwd=toy)
    newest = max((toy / "torn" / "checkpoints").glob("step-*.ckpt"), key=lambda path: int(path.stem[5:]))
    os.truncate(newest, newest.stat().st_size // 2)
    result = lab("resume", "torn")
    assert result.code == 0
    assert newest.name in result.err + (toy / "torn" / "llm_lab.log").read_text()
    assert same(whole, toy / "torn")


def test_a_planted_pickle_is_refused(toy: Path, lab: Callable[..., Result]) -> None:
    train_and_stop(12, "SIGKILL", *WORDS, "hydra.run.dir=planted", cwd=toy)

    class Canary:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(toy / "canary"),)

    torch.save({"state_dict": Canary()}, toy / "planted" / "checkpoints" / "step-999.ckpt")
    assert lab("resume", "planted").code == 0
    assert not (toy / "canary").exists()


def test_resuming_a_finished_run_does_nothing(whole: Path, lab: Callable[..., Result]) -> None:
    before = (whole / "metrics.json").stat().st_mtime_ns
    result = lab("resume", "whole")
    assert (result.code, (whole / "metrics.json").stat().st_mtime_ns) == (0, before)
    assert "finished" in result.out


def test_resuming_what_is_no_run(toy: Path) -> None:
    result = lab_process("resume", "nowhere", cwd=toy)
    assert result.code == 1
    assert "nowhere is not a run directory" in result.err
