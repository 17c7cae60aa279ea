"""Shakespeare by characters: our recipe for nanoGPT's model on a processor beside nanoGPT's own, to 1.88 nats.

Both take turns, each in a process of its own. What is compared are the seconds of training up to the first validation
over the whole split, the last tenth of the text, that ends at or below 1.88. Validations are not counted for either;
nanoGPT's recipe is asked every 100 of its 2,000 steps. Who never gets there is taken with all of its training, and the
line with the ratio says so.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm_lab.bench.child import run_module
from llm_lab.bench.mirror import mirror
from llm_lab.bench.report import ratio, save, show

WANTED = 1.88
MODULES = {"ours": "llm_lab.bench.ours", "nanoGPT's recipe": "llm_lab.bench.nanogpt"}
QUIET = (
    "logger=none",
    "trainer.enable_progress_bar=false",
    "callbacks.resume=null",
    "callbacks.early_stopping=null",
)
WORDS = ("+experiment=shakespeare_char", *QUIET)
COLUMNS = (
    "",
    "seed",
    f"seconds to {WANTED}",
    "all training",
    "whole command",
    "val/loss",
    "end of the curve: seconds loss",
)


def main(words: Sequence[str] = ()) -> None:
    """Measure, print curves and ratio, write the JSON."""
    options = parse(words)
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in options.only}
    for seed in options.seeds:
        for name, several in rounds.items():
            several.append(contestant(name, [*WORDS, f"seed={seed}", *options.words]) | {"seed": seed})
    rows = [row(name, one) for name, several in rounds.items() for one in several]
    show(f"nanoGPT's model for a processor, to {WANTED} nats", COLUMNS, rows)
    if len(rounds) == len(MODULES):
        print(f"seconds of ours / nanoGPT's to {WANTED}: {compared(*rounds.values())}")
    print(f"figures: {save('shakespeare', {'rounds': rounds}, options.json)}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the options of this benchmark."""
    parser = argparse.ArgumentParser(prog="python -m llm_lab.bench shakespeare")
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", nargs="+", choices=MODULES, default=list(MODULES))
    parser.add_argument("--words", nargs="*", default=[], help="further words for the command line of both")
    return parser.parse_args(list(words))


def contestant(name: str, words: Sequence[str]) -> dict[str, Any]:
    """Run a contestant in a folder of its own; its figures and the seconds of its whole process."""
    with tempfile.TemporaryDirectory() as folder:
        file, begin = Path(folder) / "figures.json", time.perf_counter()
        run_module(MODULES[name], [str(file), *words], folder=Path(folder), environment=mirror())
        figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return figures | {"command": time.perf_counter() - begin}


def reached(one: dict[str, Any]) -> float:
    """Seconds of training up to the first loss that is low enough; infinite without one, see `compared`."""
    return min((seconds for seconds, loss in one["curve"] if loss <= WANTED), default=math.inf)


def compared(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> str:
    """The ratio of the seconds to the wanted loss, median over the rounds.

    Who never reaches it enters with all of its training, which bounds the ratio from one side only; the words say so.
    """
    whole = {"ours": ours, "nanoGPT's": theirs}
    late = {name: [one for one in several if reached(one) == math.inf] for name, several in whole.items()}
    notes = [
        f"{name} not reached within {max(one['curve'][-1][0] for one in several):.0f} s"
        for name, several in late.items()
        if several
    ]
    if len(notes) == len(whole):
        return f"unknown; {', '.join(notes)}"
    times = [[min(reached(one), one["curve"][-1][0]) for one in several] for several in whole.values()]
    bound = f"{notes[0]}: at {'least' if late['ours'] else 'most'} " if notes else ""
    return f"{bound}{ratio(*times):.2f}"


def row(name: str, one: dict[str, Any]) -> list[str]:
    """Make a line of the table."""
    curve = ", ".join(f"{seconds:.0f} {loss:.3f}" for seconds, loss in one["curve"][-4:])
    seconds, loss = one["curve"][-1]
    times = [f"{one_time:.1f}" for one_time in (reached(one), seconds, one["command"])]
    return [name, str(one["seed"]), *times, f"{loss:.4f}", curve]
