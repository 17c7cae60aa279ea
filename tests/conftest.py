"""What many tests share: a toy experiment in a user's folder, and the command line as a function."""

from __future__ import annotations

import csv
import logging
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

os.environ["OMP_NUM_THREADS"] = "1"  # tiny models; the suite runs in two processes
os.environ["WANDB_MODE"] = "offline"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

GOOD = "bright warm clever moving funny graceful honest lively".split()
BAD = "dull cold clumsy boring grim tedious false lifeless".split()
PLAIN = "the film a story with its cast and scenes was made in town for us by".split()


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def toy_rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Sentences of which a small model can learn the sentiment."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        label, words = (("good", GOOD), ("bad", BAD))[number % 2]
        text = rng.choices(PLAIN, k=rng.randint(3, 12)) + rng.choices(words, k=2)
        rng.shuffle(text)
        rows.append((" ".join([*text, str(number)]), label))
    return rows


TOY = {
    "conf/data/toy.yaml": """# Toy reviews, for tests.
defaults: [table]
source: file://../../toy.csv
split: {val: 0.15, test: 0.15}
batch_size: 8
""",
    "conf/model/toy.yaml": """# One layer, for tests.
defaults: [bert_tiny]
sizes: {hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32}
tokenizer: {vocab_size: 400}
""",
    "conf/experiment/toy.yaml": """# @package _global_
# A toy.
defaults:
  - override /data: toy
  - override /model: toy
  - override /logger: none
optimizer: {lr: 1.0e-2}
trainer: {max_epochs: 2, enable_progress_bar: false, precision: 32-true}
""",
}


def make_toy(folder: Path, rows: int = 240) -> Path:
    """Write the toy experiment as a user would: a `conf` folder and a table in the working directory."""
    for name, text in TOY.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with (folder / "toy.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *toy_rows(rows)])
    return folder


@pytest.fixture(autouse=True)
def signals() -> None:
    """Ctrl-C is Ctrl-C again: launchers of ranks that ran in this process leave an answer of their own."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the session's own; what was downloaded before serves as a mirror."""
    from llm_lab.assets import home as assets_home

    mirrors = [str(path) for path in (SHARED, assets_home()) if path.is_dir()]
    mirrors += filter(None, [os.environ.get("LLM_LAB_MIRROR")])
    folder = tmp_path_factory.mktemp("home")
    os.environ["LLM_LAB_MIRROR"] = os.pathsep.join(mirrors)
    os.environ["LLM_LAB_HOME"] = str(folder)
    return folder


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the toy experiment."""
    make_toy(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def lab(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in this process, in the current working directory: imports are paid once."""
    from llm_lab.__main__ import main

    def run(*words: str) -> Result:
        capfd.readouterr()
        try:
            code = main(list(words))
        except SystemExit as end:
            code = end.code
        finally:
            forget_handlers()
        out, err = capfd.readouterr()
        return Result(int(code or 0), out, err)

    return run


def forget_handlers() -> None:
    """Take away the log handlers that a command left: their streams end with the test."""
    known = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    for logger in (logging.root, *known):
        for handler in [one for one in logger.handlers if type(one).__module__.startswith("logging")]:
            logger.removeHandler(handler)
            handler.close()


def lab_process(*words: str, cwd: Path, **env: str) -> Result:
    """Run a command in a process of its own, as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "llm_lab", *words],
        cwd=cwd,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)
