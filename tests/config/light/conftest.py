"""A small tree of configs, with every kind of thing in it that the check looks at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llm_lab.config.check import faults_of
from llm_lab.config.compose import Composed, compose
from llm_lab.config.fault import Fault

TREE = {
    "config.yaml": """\
# The root.
defaults:
  - _self_
  - data: table
  - model: small
  - task: label
  - optimizer: sgd
  - scheduler: linear
  - trainer: default
  - callbacks: default
  - peft: null
name: ${run_name:}
seed: 42
expected: null
mode: {test: true}
paths: {runs: runs, run: null}
""",
    "data/table.yaml": """\
# A table. With more to say.
_target_: TOYS.Data
tokenizer: ${model.tokenizer}
seed: ${seed}
""",
    "model/small.yaml": "# A small model.\n_target_: TOYS.Model\nwidth: 8\ntokenizer: {words: 5}\n",
    "model/minilm.yaml": "# A middling model.\n_target_: TOYS.Model\nwidth: 384\ntokenizer: {words: 9}\n",
    "model/text/tiny.yaml": """\
# @package model
# For texts.
_target_: TOYS.Deep
width: 2
tokenizer: null
""",
    "task/label.yaml": """\
# One label.
_target_: TOYS.Task
monitor: val/accuracy
metrics:
  accuracy: {_target_: TOYS.metric}
""",
    "optimizer/sgd.yaml": "# Plain.\n_target_: TOYS.sgd\nlr: 1e-3\n",
    "optimizer/fast.yaml": "# Fast.\n_target_: TOYS.sgd\nlr: 1.0\n",
    "scheduler/linear.yaml": "# Lines.\n_target_: TOYS.linear\nwarmup: 0.1\n",
    "trainer/default.yaml": "# A loop.\n_target_: TOYS.trainer\nmax_steps: 100\nmax_epochs: 1\n",
    "callbacks/default.yaml": """\
# Stops.
stop: {_target_: TOYS.Stop, monitor: '${task.monitor}', order: 3}
""",
    "peft/lora.yaml": "# Less.\n_target_: TOYS.metric\nnum_classes: 2\n",
    "experiment/sentiment.yaml": """\
# @package _global_
# Feelings. Of films.
defaults:
  - override /model: minilm
optimizer:
  lr: 0.5
expected: {metric: test/accuracy, value: 0.87, tolerance: 0.015, minutes: 4}
""",
    "debug/smoke.yaml": "# @package _global_\n# Quick.\ntrainer: {max_steps: 2}\n",
}
TOYS = "tests.config.light.toys"
Files = dict[str, str]


def write(folder: Path, files: Files) -> Path:
    """Write the files below the folder; `TOYS` in them is the module of the targets."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("TOYS", TOYS))
    return folder


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small tree as the shipped configs, and an empty working directory beside it."""
    root = write(tmp_path / "ours", TREE)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("LLM_LAB_CONF", str(root))
    monkeypatch.setenv("LLM_LAB_ALLOW", "tests")
    return root


@pytest.fixture
def composed(tree: Path) -> Callable[..., Composed]:
    """Compose words over the small tree; keyword `files` are written into it first."""

    def run(*words: str, files: Files | None = None) -> Composed:
        write(tree, files or {})
        return compose(words)

    return run


@pytest.fixture
def faults(composed: Callable[..., Composed]) -> Callable[..., list[Fault]]:
    """All faults of the light check of words over the small tree."""

    def run(*words: str, files: Files | None = None) -> list[Fault]:
        return faults_of(composed(*words, files=files))

    return run
