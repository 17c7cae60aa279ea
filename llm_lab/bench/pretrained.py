"""SST-2 from an encoder that we pretrained ourselves, and from the same encoder with random weights."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from llm_lab.bench.child import run_module
from llm_lab.bench.mirror import mirror
from llm_lab.bench.report import save, show

EXPERIMENTS = {"own pretrained": "sst2_pretrained", "random weights": "sst2_scratch"}
QUIET = ("logger=none", "trainer.enable_progress_bar=false", "callbacks.resume=null")
COLUMNS = ("", "accuracy", "each seed", "seconds")
Figures = dict[str, float]


def main(words: Sequence[str] = ()) -> None:
    """Train both for every seed, print accuracies and their difference, write the JSON."""
    options = parse(words)
    rounds: dict[str, list[Figures]] = {name: [] for name in EXPERIMENTS}
    with tempfile.TemporaryDirectory() as folder:  # of all, so that pretraining happens once
        for seed in options.seeds:
            for name, experiment in EXPERIMENTS.items():
                job = [f"+experiment={experiment}", *QUIET, f"seed={seed}", *options.words]
                rounds[name].append(contestant(job, Path(folder)))
                print(f"{name:16} seed {seed}: {rounds[name][-1]['accuracy']:.4f}", flush=True)
    show(
        f"SST-2, {len(options.seeds)} seeds",
        COLUMNS,
        [row(name, several) for name, several in rounds.items()],
    )
    pairs = zip(*rounds.values(), strict=True)
    print(f"gain: {fmean(one['accuracy'] - other['accuracy'] for one, other in pairs):+.4f}")
    print(f"figures: {save('pretrained', {'rounds': rounds}, options.json)}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the options of this benchmark."""
    parser = argparse.ArgumentParser(prog="python -m llm_lab.bench pretrained")
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--words", nargs="*", default=[], help="further words for the command line of both")
    return parser.parse_args(list(words))


def contestant(words: Sequence[str], folder: Path) -> Figures:
    """Run a job in a folder; where it names a pretraining run that is not there yet, that is trained first."""
    file = Path(tempfile.mkdtemp(dir=folder)) / "figures.json"
    run_module("llm_lab.bench.ours", [str(file), *words], folder=folder, environment=mirror())
    figures: Figures = json.loads(file.read_text(encoding="utf-8"))
    return figures


def row(name: str, several: Sequence[Figures]) -> list[str]:
    """Make a line of the table."""
    accuracies = [one["accuracy"] for one in several]
    each = " ".join(f"{accuracy:.3f}" for accuracy in accuracies)
    return [name, f"{fmean(accuracies):.4f}", each, f"{fmean(one['seconds'] for one in several):.0f}"]
