"""A rank that dies takes the run down, quickly and with its own error; nothing is left running, nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Result, make_toy
from tests.launch.runs import LAB, TWO, Started, difference, metrics, state, struck, trouble

WITHIN = 30.0  # seconds; on a machine with other work to do


class Beset(NamedTuple):
    """A run whose rank 1 was killed, whose parent was killed when it was resumed, and that was resumed again."""

    directory: Path
    whole: Path
    killed: Result
    seconds: float
    after_kill: dict[str, object]
    saved: list[str]
    last: Result


@pytest.fixture(scope="module")
def beset(tmp_path_factory: pytest.TempPathFactory) -> Beset:
    folder = make_toy(tmp_path_factory.mktemp("beset"))
    assert Started([*LAB, *TWO, "hydra.run.dir=whole"], cwd=folder).end().code == 0
    run = folder / "beset"
    words = [trouble(folder / "first", step=6, kind="kill"), "hydra.run.dir=beset"]
    words.append(trouble(folder / "second", step=12, rank=0, kind="hold").replace("trouble=", "more="))
    first = Started([*LAB, *TWO, *words], cwd=folder)
    struck(folder / "first", 1)
    begin = time.monotonic()
    killed = first.end(WITHIN)
    first.gone(WITHIN)
    seconds, after_kill = time.monotonic() - begin, state(run)
    second = Started([*LAB, "resume", "beset"], cwd=folder)
    struck(folder / "second", 0)
    os.kill(second.process.pid, signal.SIGKILL)
    second.gone(WITHIN)
    saved = sorted(path.name for path in (run / "checkpoints").glob("step-*"))
    last = Started([*LAB, "resume", "beset"], cwd=folder).end()
    return Beset(run, folder / "whole", killed, seconds, after_kill, saved, last)


def test_the_dead_rank_is_named_in_one_line(beset: Beset) -> None:
    assert beset.killed.code == 1
    assert re.findall(r"^error: .*", beset.killed.err, re.MULTILINE) == [
        "error: rank 1 died: SIGKILL (out of memory?)"
    ]
    assert "Traceback" not in beset.killed.err


def test_the_others_end_within_seconds(beset: Beset) -> None:
    assert beset.seconds < WITHIN


def test_the_run_says_that_it_failed(beset: Beset) -> None:
    assert (beset.after_kill["state"], beset.after_kill["exit_code"]) == ("failed", 1)


def test_ranks_whose_parent_was_killed_save_and_end(beset: Beset) -> None:
    assert "step-13.ckpt" in beset.saved, "told to stop before step 13 they finish it, save and go"


def test_resumed_it_ends_in_the_very_same_weights(beset: Beset) -> None:
    assert beset.last.code == 0, beset.last.err
    assert state(beset.directory)["state"] == "finished"
    assert metrics(beset.directory)["run/world_size"] == 2
    assert difference(beset.directory, beset.whole) == 0


def test_an_exception_in_one_rank_is_the_error_shown(tmp_path: Path) -> None:
    make_toy(tmp_path)
    words = [trouble(tmp_path / "trouble", step=3, kind="raise"), "hydra.run.dir=run"]
    started = Started([*LAB, *TWO, *words], cwd=tmp_path)
    done = started.end()
    started.gone(WITHIN)
    errors = re.findall(r"^error: .*", done.err, re.MULTILINE)
    assert done.code == 1 and len(errors) == 1
    assert "rank 1: OutOfMemoryError: this rank has had enough" in errors[0]
    assert "this rank has had enough" in (tmp_path / "run" / "logs" / "rank-1.log").read_text()
    assert state(tmp_path / "run")["state"] == "failed"
