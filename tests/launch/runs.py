"""Runs of several ranks, as a user starts them; what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from safetensors.torch import load_file

from tests.conftest import ROOT, Result
from tests.launch.waiting import running, until

LIMIT = 240.0  # seconds for anything that a test waits for
TOY = (
    "+experiment=toy",
    "callbacks.resume.interval=0.05",
    "mode.report=false",
    "mode.baseline=false",
    "launch.oversubscribe=true",
)
TWO = (*TOY, "trainer.devices=2")
ENVIRONMENT = {"LLM_LAB_ALLOW": "tests", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
LAB = (sys.executable, "-m", "llm_lab")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")


class Started:
    """A command under way, its output in a file."""

    def __init__(self, words: Sequence[str], *, cwd: Path, **env: str) -> None:
        self.output = cwd / f"output-{len(list(cwd.glob('output-*')))}.txt"
        self.words, self.mark = list(words), uuid4().hex
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                self.words,
                cwd=cwd,
                env=os.environ | ENVIRONMENT | {"STARTED_BY_TEST": self.mark} | env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors="replace")

    def end(self, seconds: float = LIMIT) -> Result:
        """Wait for its end; one that does not end is killed with all it started."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"{self.words} did not end within {seconds:g} s:\n{self.text}") from None
        return Result(code, self.text, self.text)

    def gone(self, seconds: float) -> None:
        """Wait until nothing of what it started is left, on whatever way it ended."""
        try:
            until(lambda: not running(self.mark), seconds, f"left behind by {self.words}")
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and all it started, by force."""
        for process in running(self.mark):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


def trouble(folder: Path, **settings: object) -> str:
    """The word that adds `tests.launch.trouble.Trouble` to a run."""
    node = {"_target_": "tests.launch.trouble.Trouble", "folder": str(folder), **settings}
    return "+callbacks.trouble={" + ",".join(f"{key}:{value}" for key, value in node.items()) + "}"


def struck(folder: Path, rank: int) -> int:
    """Wait until trouble has come to a rank; returns its process number."""
    mark = folder / f"struck-{rank}"
    until(lambda: mark.exists() and mark.read_text(), LIMIT, f"rank {rank} never came to its step")
    return int(mark.read_text())


def state(run: Path) -> dict[str, Any]:
    """`run.json`."""
    return dict(json.loads((run / "run.json").read_text()))


def metrics(run: Path) -> dict[str, Any]:
    """`metrics.json`."""
    return dict(json.loads((run / "metrics.json").read_text()))


def difference(run: Path, other: Path) -> float:
    """Largest difference between the final weights of two runs."""
    one, two = (load_file(path / "model" / "model.safetensors") for path in (run, other))
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)
