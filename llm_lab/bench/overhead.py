"""What a step costs beside the arithmetic, on a model of a million parameters.

The same model, batches and optimizer in a bare loop, in Lightning's Trainer with our task and nothing else, with
each callback alone, with all of them, and with each tracker; in one process, in turns.
"""

from __future__ import annotations

import argparse
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from llm_lab.bench.mirror import mirror
from llm_lab.bench.report import save, show

WORDS = (
    "+experiment=sst2",
    "model=bert_tiny",
    "model.tokenizer.vocab_size=5000",
    "data.batch_size=8",
    "trainer.max_epochs=1",
    "trainer.limit_val_batches=0",
    "callbacks.early_stopping=null",  # it waits for a validation
    "trainer.enable_progress_bar=false",
)
TRACKERS = ("csv", "tensorboard", "wandb")
BARE = "bare loop"


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the table, write the JSON."""
    options = parse(words)
    os.environ |= mirror() | {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    found = measure(variants(options.rows), options.rounds)
    base = median(found[BARE])
    rows = [[name, f"{median(times):.2f}", f"{median(times) - base:+.2f}"] for name, times in found.items()]
    title = f"milliseconds a step, median of {options.rounds} rounds"
    show(title, ("", "step", "beyond the bare loop"), rows)
    print(f"figures: {save('overhead', {'milliseconds': found}, options.json)}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the options of this benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_lab.bench overhead", description="the cost of a step"
    )
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1600, help="training rows, eight a step")
    return parser.parse_args(list(words))


def variants(rows: int) -> dict[str, Callable[[], float]]:
    """Return what to compare: each gives the seconds per step of one pass."""
    from llm_lab.bench.loops import bare, composed, lightning, with_callbacks

    words = [*WORDS, f"data.limit={rows}"]
    config = composed([*words, "logger=none"])
    shipped = [str(name) for name, node in config.callbacks.items() if node]
    found: dict[str, Callable[[], float]] = {BARE: partial(bare, config)}
    found["our loop, nothing else"] = partial(lightning, with_callbacks(config, []), ledger=False)
    for name in shipped:
        found[f"  and {name}"] = partial(lightning, with_callbacks(config, [name]), ledger=False)
    found["  and the cost ledger"] = partial(lightning, with_callbacks(config, []), ledger=True)
    found["  and all of these"] = partial(lightning, config, ledger=True)
    for name in TRACKERS:
        found[f"  and all, {name}"] = partial(lightning, composed([*words, f"logger={name}"]), ledger=True)
    return found


def measure(compared: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return milliseconds per step of every variant, a figure per round; a round before them warms up."""
    from llm_lab.modes.trainer import use_processor

    use_processor()
    found: dict[str, list[float]] = {name: [] for name in compared}
    for number in range(rounds + 1):
        for name, run in compared.items():
            milliseconds = 1000 * run()
            if number:
                found[name].append(milliseconds)
    return found
