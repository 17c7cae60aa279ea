"""The same steps by one process with one thread and by two with one thread each, in turns.

A step has the same rows either way. Arithmetic counts, not the network: long batches, few parameters. One of two ranks
trains alone while the other waits, then both train with DDP, so that a pair of runs takes seconds and what else the
machine does hits both alike. Where it does much, two processes cannot get two cores: processor time says what they
would need.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from os import getloadavg
from pathlib import Path
from statistics import median

from llm_lab.bench.memory import write_table
from llm_lab.bench.ranks import QUIET, Figures, measure
from llm_lab.bench.report import ratio, save, show

WORDS = (
    "data=table",
    "data.source=file://table.csv",
    "model=bert_tiny",
    "model.tokenizer.vocab_size=1000",
    "model.sizes.hidden_size=256",
    "model.sizes.intermediate_size=1024",
    "model.sizes.num_hidden_layers=4",
    "model.sizes.num_attention_heads=4",
    "trainer.precision=32-true",
    "trainer.max_epochs=-1",
)


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the table, write the JSON."""
    options = parse(words)
    found = measure_all(options)
    times, cpu = (
        {name: [one[key] for one in kind] for name, kind in found.items()} for key in ("clock", "cpu")
    )
    factors = [one / two for one, two in zip(times["alone"], times["together"], strict=True)]
    rows = [
        ["1 process, 1 thread", f"{median(times['alone']):.3f} s", "1.00", "1.00"],
        [
            f"{options.ranks} processes, 1 thread each",
            f"{median(times['together']):.3f} s",
            f"{ratio(times['alone'], times['together']):.2f}",
            f"{ratio(cpu['alone'], cpu['together']):.2f}",
        ],
    ]
    load = getloadavg()[0]
    title = (
        f"a step of {options.rows} rows, medians of {options.rounds} rounds; load of the machine {load:.1f}"
    )
    show(title, ("", "step", "times as fast", "by processor time"), rows)
    print("each round: " + " ".join(f"{factor:.2f}" for factor in factors))
    figures = {"rounds": found, "load": load, "strategy": options.strategy}
    print(f"figures: {save('scaling', figures, options.json)}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the options of this benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_lab.bench scaling", description="1 process against 2"
    )
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="steps of each run")
    parser.add_argument("--rows", type=int, default=48, help="rows of a step")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--strategy", default="ddp")
    return parser.parse_args(list(words))


def measure_all(options: argparse.Namespace) -> dict[str, list[Figures]]:
    """Seconds of a step on the clock and of one rank's processor; in every other round the pair goes first."""
    common = [*QUIET, *WORDS, f"trainer.max_steps={options.steps}"]
    kinds = {
        "alone": [*common, f"data.batch_size={options.rows}"],
        "together": [
            *common,
            f"data.batch_size={options.rows // options.ranks}",
            f"strategy={options.strategy}",
        ],
    }
    order = [
        (name, turn) for turn in range(options.rounds) for name in (kinds if turn % 2 else reversed(kinds))
    ]
    jobs = {f"{name}-{turn}": kinds[name] for name, turn in order}
    alone = [name for name in jobs if name.startswith("alone")]
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder) / "table.csv", 10 * options.rows, longest=60)
        figures = measure(jobs, alone=alone, ranks=options.ranks, folder=Path(folder))
    return {name: [step(figures[f"{name}-{turn}"]) for turn in range(options.rounds)] for name in kinds}


def step(ranks: Sequence[Figures]) -> Figures:
    """Median seconds of a step: on the clock of rank 0, and of processors by the rank that used most."""
    return {"clock": median(ranks[0]["seconds"]), "cpu": max(median(rank["cpu_seconds"]) for rank in ranks)}
