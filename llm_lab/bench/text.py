"""Fine-tuning MiniLM on SST-2 for one epoch: ours, a bare loop, transformers' Trainer.

Contestants take turns, each in a process of its own, a round per seed; figures are medians over the rounds,
ratios medians of the ratios within a round, because shared machines speed up and slow down by the minute.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

from llm_lab.bench.child import run_module
from llm_lab.bench.job import WORDS
from llm_lab.bench.mirror import mirror
from llm_lab.bench.report import ratio, save, show

TITLES = {
    "bare": "(a) bare loop, our batches",
    "ours": "(b) ours",
    "trainer": "(c) Trainer, defaults",
    "trainer, by length": "(d) Trainer, by length",
}
COLUMNS = ("", "seconds", "examples/s", "accuracy", "peak RSS", "of peak", "time / (a)", "speed / (d)")
Figures = dict[str, float]
Rounds = dict[str, list[Figures]]


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the table, write the JSON."""
    options = parse(words)
    extra = [] if options.limit is None else [f"data.limit={options.limit}"]
    facts = contestant("facts", [*WORDS, *extra])
    rounds: Rounds = {name: [] for name in options.only}
    for number, seed in enumerate(options.seeds):
        turn = number % len(options.only)
        for name in (*options.only[turn:], *options.only[:turn]):
            rounds[name].append(measure(name, [*WORDS, *extra, f"seed={seed}"], facts))
            print(f"{TITLES[name]:28} seed {seed}: {rounds[name][-1]['seconds']:7.1f} s", flush=True)
    title = f"MiniLM on SST-2, one epoch, {len(options.seeds)} seeds"
    show(title, COLUMNS, [row(name, rounds) for name in rounds])
    print(f"figures: {save('text', {'rounds': rounds}, options.json)}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the options of this benchmark."""
    parser = argparse.ArgumentParser(prog="python -m llm_lab.bench text", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--limit", type=int, help="rows per split, for a quick look")
    parser.add_argument("--only", nargs="+", choices=TITLES, default=list(TITLES))
    return parser.parse_args(list(words))


def measure(name: str, words: Sequence[str], facts: Figures) -> Figures:
    """Run a contestant and put its figures in relation to the job and to the machine."""
    import torch

    from llm_lab.config.hardware import supports_bf16
    from llm_lab.tracking.peak import matrix_peak

    figures = contestant(name, words)
    peak = matrix_peak(torch.bfloat16 if supports_bf16("cpu") else torch.float32)
    return figures | {
        "examples_per_second": facts["examples"] / figures["seconds"],
        "matrix_peak": peak,
        "share_of_peak": facts["operations"] / figures["seconds"] / peak,
    }


def contestant(name: str, words: Sequence[str]) -> Figures:
    """Run one contestant on the job that the words compose, or ask for the job's facts."""
    module = ["llm_lab.bench.ours"] if name == "ours" else ["llm_lab.bench.contestants", name]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        run_module(module[0], [*module[1:], str(file), *words], folder=Path(folder), environment=mirror())
        figures: Figures = json.loads(file.read_text(encoding="utf-8"))
        return figures


def row(name: str, rounds: Rounds) -> list[str]:
    """Make a contestant's line of the table."""
    figures = {key: [one[key] for one in rounds[name]] for key in rounds[name][0]}
    half_range = (max(figures["accuracy"]) - min(figures["accuracy"])) / 2
    return [
        TITLES[name],
        f"{median(figures['seconds']):.1f}",
        f"{median(figures['examples_per_second']):.0f}",
        f"{fmean(figures['accuracy']):.4f} ± {half_range:.4f}",
        f"{median(figures['peak_rss']) / 2**20:.0f} MB",
        f"{median(figures['share_of_peak']):.0%}",
        against(name, "bare", rounds),
        against("trainer, by length", name, rounds),
    ]


def against(name: str, other: str, rounds: Rounds) -> str:
    """Return the ratio of the times of two contestants."""
    if not {name, other} <= rounds.keys():
        return ""
    times = [[one["seconds"] for one in rounds[key]] for key in (name, other)]
    return f"{ratio(times[0], times[1]):.2f}"
