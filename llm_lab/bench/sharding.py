"""Memory per rank of each way to share out a model, beside the formula, and the time of a step beside DDP's.

N parameters in single precision with AdamW take 4 N bytes of weights, 4 N of gradients and 8 N of optimizer state. R
ranks share out the state (ZeRO-1), the gradients too (ZeRO-2), the weights too (ZeRO-3, FSDP2): table 1 of
https://arxiv.org/abs/1910.02054, whose figures are for mixed precision.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from llm_lab.bench.memory import write_table
from llm_lab.bench.ranks import QUIET, Figures, measure
from llm_lab.bench.report import ratio, save, show

STRATEGIES = {
    "ddp": 0,
    "deepspeed_zero1": 1,
    "deepspeed_zero2": 2,
    "deepspeed_zero3": 3,
    "fsdp2": 3,
}
COLUMNS = (
    "",
    "optimizer state",
    "formula",
    "ratio",
    "all, formula",
    "above start",
    "peak RSS",
    "step",
    "of ddp",
)
MIB = 1 << 20
WORDS = (
    "data=table",
    "data.source=file://table.csv",
    "data.batch_size=2",
    "model=bert_tiny",
    "model.sizes.num_attention_heads=8",
    "trainer.precision=32-true",
    "trainer.max_epochs=-1",
)


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the table, write the JSON."""
    options = parse(words)
    rounds = [measure_once(options) for _ in range(options.rounds)]
    one = rounds[0]["ddp"][0]
    title = (
        f"{one['parameters'] / 1e6:.1f} M parameters, fp32, AdamW, {options.ranks} ranks; "
        f"the rank that holds most, medians of {options.rounds} rounds"
    )
    rows = [row(name, rounds) for name in options.only]
    show(title, COLUMNS, rows)
    print(f"figures: {save('sharding', {'rounds': rounds}, options.json)}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the options of this benchmark."""
    parser = argparse.ArgumentParser(prog="python -m llm_lab.bench sharding", description="memory per rank")
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="steps of each run")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--only", nargs="+", default=list(STRATEGIES), choices=list(STRATEGIES))
    options = parser.parse_args(list(words))
    options.only = list(dict.fromkeys(["ddp", *options.only]))
    return options


def measure_once(options: argparse.Namespace) -> dict[str, list[Figures]]:
    """One round over all strategies, each in processes of its own: honest peaks."""
    found: dict[str, list[Figures]] = {}
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            write_table(Path(folder) / "table.csv", 200, longest=20)
            job = [*QUIET, *WORDS, *sizes(options), f"strategy={name}", f"trainer.max_steps={options.steps}"]
            found |= measure({name: job}, ranks=options.ranks, folder=Path(folder))
        print(f"{name:20} {median(found[name][0]['seconds']):.3f} s a step", flush=True)
    return found


def sizes(options: argparse.Namespace) -> list[str]:
    """Words for the model's sizes."""
    return [
        f"model.sizes.hidden_size={options.width}",
        f"model.sizes.intermediate_size={4 * options.width}",
        f"model.sizes.num_hidden_layers={options.layers}",
    ]


def row(name: str, rounds: Sequence[dict[str, list[Figures]]]) -> list[str]:
    """Make a strategy's line: of the rank that holds most, medians over the rounds."""
    size, ranks = rounds[0]["ddp"][0]["parameters"], len(rounds[0]["ddp"])

    def most(key: str) -> float:
        return median(max(rank[key] for rank in one[name]) for one in rounds) / MIB

    def seconds(which: str) -> list[float]:
        return [median(one[which][0]["seconds"]) for one in rounds]

    state, expected = most("optimizer_state"), formula(size, STRATEGIES[name], ranks)
    return [
        name,
        f"{state:.1f} MiB",
        f"{expected['state'] / MIB:.1f} MiB",
        f"{state * MIB / expected['state']:.3f}",
        f"{sum(expected.values()) / MIB:.0f} MiB",
        f"{most('above_start'):.0f} MiB",
        f"{most('peak_rss'):.0f} MiB",
        f"{median(seconds(name)):.3f} s",
        f"{ratio(seconds(name), seconds('ddp')):.2f}",
    ]


def formula(parameters: int, stage: int, ranks: int) -> dict[str, float]:
    """Bytes per rank of weights, gradients and AdamW's two moments in single precision."""
    shared = {"state": stage >= 1, "gradients": stage >= 2, "weights": stage >= 3}  # noqa: PLR2004 - ZeRO's stages
    whole = {"state": 8 * parameters, "gradients": 4 * parameters, "weights": 4 * parameters}
    return {name: size / ranks if shared[name] else size for name, size in whole.items()}
