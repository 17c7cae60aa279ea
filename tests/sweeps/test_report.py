"""What a sweep writes and prints."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llm_lab.sweeps.report import write_sweep, write_table
from tests.sweeps.folders import add_run, mixed, record


def test_the_table_is_printed_best_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sweep(mixed(tmp_path))
    said = capsys.readouterr().out
    assert said.index("0.400") < said.index("0.500") < said.index("OutOfMemory")
    assert "2 finished, 1 pruned, 1 interrupted, 1 pending, 1 failed" in said
    assert (tmp_path / "sweep.csv").is_file()
    assert (tmp_path / "sweep.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "sweep.html" in "".join(said.split())
    assert not (tmp_path / "sweep_seeds.csv").exists()
    assert not list(tmp_path.glob("*.tmp"))


def test_markup_in_a_job_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, {"a": ["optimizer.lr=[/red]x"]}, name="[bold]x")
    add_run(
        tmp_path, "a", words=["optimizer.lr=[/red]x"], state="failed", error={"kind": "[/b]", "message": "m"}
    )
    write_sweep(tmp_path)
    said = capsys.readouterr().out
    assert "[bold]x: 1 failed" in said
    assert "[/b]: m" in said


def test_the_best_setting_of_several_seeds_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = {f"{rate}-{seed}": [f"optimizer.lr={rate}", f"seed={seed}"] for rate in (1, 2) for seed in (1, 2)}
    record(tmp_path, jobs, seeds=(1, 2))
    for name, words in jobs.items():
        add_run(tmp_path, name, words=words, metrics={"val/loss": float(name[0])})
    write_sweep(tmp_path)
    said = capsys.readouterr().out
    assert "optimizer.lr=1, val/loss 1.000 ± 0.000 (n = 2)" in said
    assert (tmp_path / "sweep_seeds.csv").is_file()


def test_many_jobs_do_not_flood_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = {f"j{number}": [f"optimizer.lr={number}"] for number in range(60)}
    record(tmp_path, jobs)
    for name, words in jobs.items():
        add_run(tmp_path, name, words=words, metrics={"val/loss": 1.0})
    write_sweep(tmp_path)
    said = capsys.readouterr().out
    assert "35 more jobs in sweep.csv" in said


def test_writers_at_the_same_time_leave_a_whole_table(tmp_path: Path) -> None:
    mixed(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_table, [tmp_path] * 24))
    with (tmp_path / "sweep.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
    assert not list(tmp_path.glob(".*.tmp"))
