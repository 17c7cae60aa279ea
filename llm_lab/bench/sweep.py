"""Eight two-step jobs in one process against the start-up of the first and the steps of all."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from llm_lab.bench.child import run_module
from llm_lab.bench.report import save, show

JOBS = 8
BOUND = 1.5  # times the start-up, beside the steps


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_lab.bench sweep", description="what further jobs cost"
    )
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--experiment", default="sentiment")
    parser.add_argument("overrides", nargs="*", help="further words of the sweep")
    options = parser.parse_args(list(words))
    found = measure(options.experiment, options.overrides)
    rows = [[name, *(f"{found[clock][name]:.1f}" for clock in found)] for name in found["wall"]]
    ratios = [found[clock]["eight jobs"] / bound(found[clock]) for clock in found]
    rows += [
        [f"{BOUND} x start-up + steps", *(f"{bound(found[clock]):.1f}" for clock in found)],
        ["ratio to that bound", *(f"{ratio:.2f}" for ratio in ratios)],
    ]
    show(f"{JOBS} jobs of two steps in one process, seconds", ("", "wall", "processor"), rows)
    sys.stdout.write(f"figures: {save('sweep', dict(found), options.json)}\n")


def bound(seconds: dict[str, float]) -> float:
    """What the jobs may cost together."""
    return BOUND * seconds["start-up of the first"] + seconds["steps, validations and tests"]


def measure(experiment: str, overrides: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return seconds by clock and part, from one process of its own."""
    seeds = ",".join(str(seed) for seed in range(1, JOBS + 1))
    sweep = [
        "--multirun",
        f"+experiment={experiment}",
        "+debug=smoke",
        "logger=none",
        f"seed={seeds}",
        *overrides,
    ]
    with tempfile.TemporaryDirectory() as folder:
        run_module("llm_lab.bench.sweep_jobs", ["seconds.json", *sweep], folder=Path(folder))
        found: dict[str, dict[str, float]] = json.loads((Path(folder) / "seconds.json").read_text("utf-8"))
    return found
