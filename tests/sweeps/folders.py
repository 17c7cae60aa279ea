"""Sweep directories as jobs leave them, without training anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from llm_lab.sweeps.record import Job, Objective, Sweep

LOSS = Objective(metric="val/loss", direction="minimize")
ACCURACY = Objective(metric="val/accuracy", direction="maximize")


def add_run(
    folder: Path,
    name: str,
    *,
    words: Sequence[str] = (),
    state: str = "finished",
    metrics: Mapping[str, Any] | None = None,
    curve: Sequence[float] = (),
    config: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Path:
    """Write what a run leaves: state, metrics, a validation every ten steps, its config."""
    run = folder / name
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"hash": name, "state": state, "words": list(words), **facts}))
    if metrics is not None:
        (run / "metrics.json").write_text(json.dumps(metrics))
    rows = [{"step": 10 * place + 9, "val/loss": value} for place, value in enumerate(curve)]
    (run / "history.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    if config is not None:
        (run / "config.yaml").write_text(yaml.safe_dump(dict(config)))
    return run


def record(folder: Path, jobs: Mapping[str, Sequence[str]], **facts: Any) -> Sweep:
    """Write `sweep.json` for jobs given by their directory."""
    sweep = Sweep(
        **{"name": "toy", "objectives": (LOSS,), "keys": ("optimizer.lr",), **facts},
        jobs=[
            Job(number=place, trial=place, words=tuple(words), directory=name)
            for place, (name, words) in enumerate(jobs.items())
        ],
    )
    sweep.write(folder)
    return sweep


def mixed(folder: Path) -> Path:
    """Two finished jobs, one pruned, one failed, one interrupted, one not started."""
    jobs = {name: [f"optimizer.lr={rate}", "name=toy"] for name, rate in zip("abcdef", RATES, strict=True)}
    record(folder, jobs)
    add_run(folder, "a", words=jobs["a"], metrics={"val/loss": 0.5, "test/accuracy": 0.8, "run/steps": 30,
            "run/seconds": 12.0}, curve=[0.9, 0.7, 0.5], started=1.0, ended=13.0)  # fmt: skip
    add_run(folder, "b", words=jobs["b"], metrics={"val/loss": 0.4, "test/accuracy": 0.9, "run/steps": 30,
            "run/seconds": 11.0, "run/joules": 5.0}, curve=[0.8, 0.6, 0.4], started=2.0)  # fmt: skip
    add_run(folder, "c", words=jobs["c"], state="pruned", curve=[0.95, 0.94])
    error = {"kind": "OutOfMemory", "message": "=cmd|' /C calc'!A0\nsecond line"}
    add_run(folder, "d", words=jobs["d"], state="failed", error=error, curve=[0.99])
    add_run(folder, "e", words=jobs["e"], state="interrupted", curve=[0.97])
    return folder


RATES = ("1e-3", "1e-4", "1e-2", "1e-1", "1e-5", "1e-6")
