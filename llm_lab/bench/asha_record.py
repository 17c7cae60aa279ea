"""Train the grid whose learning curves the `asha` benchmark replays: 20 jobs of BERT-Tiny on SST-2."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llm_lab.bench.child import run_module
from llm_lab.bench.mirror import mirror
from llm_lab.tracking.curves import read_history

STEPS, VALIDATIONS = 648, 9
METRIC, TESTED = "val/accuracy", "test/accuracy"
KEYS = ("optimizer.lr", "data.batch_size", "model.dropout")
SWEPT = ("optimizer.lr=1e-4,3e-4,1e-3,3e-3,1e-2", "data.batch_size=16,32", "model.dropout=0.0,0.2")
WORDS = (
    "+experiment=sst2",
    "model=bert_tiny",
    "model.pooling=mean",
    "scheduler.warmup=0.05",
    "trainer.max_epochs=-1",
    f"trainer.max_steps={STEPS}",
    f"trainer.val_check_interval={STEPS // VALIDATIONS}",
    "+trainer.check_val_every_n_epoch=null",
    "trainer.enable_progress_bar=false",
    # the last weights are tested, so that validation and test are of the same ones
    "callbacks.best=null",
    "callbacks.resume=null",
    "callbacks.early_stopping=null",
    "logger=none",
    "mode.report=false",
    "mode.baseline=false",
)
ABOUT = (
    f"BERT-Tiny from random weights on SST-2, {STEPS} steps, {VALIDATIONS} validations on 872 rows, "
    f"20 jobs: {'; '.join(SWEPT)}"
)


def record(file: Path, seeds: Sequence[int]) -> Path:
    """Train the grid once for each seed, one thread each, and write the curves."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = Path(folder) / "sweep"
        several = f"seed={','.join(map(str, seeds))}"
        words = ["--multirun", *WORDS, *SWEPT, several, f"hydra.sweep.dir={sweep}"]
        run_module("llm_lab", words, folder=Path(folder), environment={**mirror(), "OMP_NUM_THREADS": "1"})
        recorded = collect(sweep)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
    return file


def collect(sweep: Path) -> dict[str, Any]:
    """Read the curves of the finished jobs of a sweep directory."""
    runs = sorted(path.parent for path in sweep.glob("*/metrics.json"))
    jobs: dict[str, list[dict[str, Any]]] = {}
    steps: list[int] = []
    for run in runs:
        rows = [row for row in read_history(run / "history.jsonl") if METRIC in row]
        steps = [row["step"] + 1 for row in rows]
        given = dict(word.split("=", 1) for word in json.loads((run / "run.json").read_text())["words"])
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        job = {
            "values": [float(given[key]) for key in KEYS],
            "curve": [round(row[METRIC], 5) for row in rows],
            "test": round(metrics[TESTED], 5),
        }
        jobs.setdefault(given["seed"], []).append(job)
    return {
        "about": ABOUT,
        "date": time.strftime("%Y-%m-%d"),
        "versions": {
            name: version(name) for name in ("torch", "transformers", "pytorch-lightning", "optuna")
        },
        "words": [*WORDS, *SWEPT],
        "metric": METRIC,
        "keys": list(KEYS),
        "steps": steps,
        "grids": {seed: sorted(jobs[seed], key=lambda job: job["values"]) for seed in sorted(jobs)},
    }
