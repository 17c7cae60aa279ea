"""Learning curves in the run directory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pytorch_lightning import Trainer

from llm_lab.tracking.curves import read_history, rewind
from llm_lab.tracking.history import History
from tests.tracking.test_ledger import Snapshot

Fit = Callable[..., Trainer]


def test_every_logged_row_is_there(fit: Fit, tmp_path: Path) -> None:
    fit(History(path=tmp_path / "history.jsonl"), epochs=2)
    rows = read_history(tmp_path / "history.jsonl")
    assert [row["step"] for row in rows if "train/loss" in row] == list(range(10))
    assert [row["step"] for row in rows if "val/loss" in row] == [4, 9]
    assert rows[-1]["epoch"] == 1


def test_resumed_run_has_the_rows_of_an_uninterrupted_one(fit: Fit, tmp_path: Path) -> None:
    path, checkpoint = tmp_path / "history.jsonl", tmp_path / "a.ckpt"
    with pytest.raises(SystemExit):
        fit(History(path=path), Snapshot(checkpoint, step=5, fail=True), epochs=3)
    fit(History(path=path), epochs=3, ckpt_path=checkpoint)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    steps = [line["step"] for line in lines if "train/loss" in line]
    assert len(steps) == len(set(steps))
    assert {row["step"] for row in read_history(path) if "train/loss" in row} >= {0, 1, 2, 3, 5, 6, 14}


def test_new_run_in_an_old_folder_starts_afresh(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 0, "x": 1}\n{"step": 3, "x": 2}\n')
    rewind(path, step=0)
    assert read_history(path) == []


def test_torn_last_line_is_dropped_and_steps_are_merged(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 2, "a": 1}\n{"step": 1, "a": 0}\n{"step": 2, "b": 5}\n{"step": 3, "a"')
    assert read_history(path) == [{"step": 1, "a": 0}, {"step": 2, "a": 1, "b": 5}]


def test_no_file_is_no_rows(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none.jsonl") == []
