"""A sweep that takes seconds, and a way to kill it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

QUICK = (
    "+experiment=toy",
    "+debug=smoke",
    "mode.test=false",
    "mode.baseline=false",
    "mode.report=false",
    "--multirun",
)
TIMES = ("seconds", "joules", "memory", "started", "reason")

Issue = Callable[..., dict[str, float]]


@pytest.fixture(scope="session")
def zygote() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(ROOT / "tests/sweeps/zygote.py")]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def issue(zygote: subprocess.Popen[str], toy: Path) -> Issue:
    """Issue a command in the toy's folder, in a fork that is killed after some seconds."""
    assert zygote.stdin is not None and zygote.stdout is not None

    def run(*words: str, kill_after: float | None = None) -> dict[str, float]:
        zygote.stdin.write(
            json.dumps({"cwd": str(Path.cwd()), "words": words, "kill_after": kill_after}) + "\n"
        )
        zygote.stdin.flush()
        return dict(json.loads(zygote.stdout.readline()))

    return run


def table(directory: Path) -> list[dict[str, str]]:
    """``sweep.csv`` without what differs from one issue to the next."""
    with (directory / "sweep.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        {key: value for key, value in row.items() if not any(word in key for word in TIMES)} for row in rows
    ]
