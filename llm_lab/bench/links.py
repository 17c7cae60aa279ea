"""ComplEx on CoDEx-S beside PyKEEN: seconds of a training epoch and of the filtered evaluation, and MRR.

Same model, size, first draw, batch, loss and optimizer: for ``lcwa`` all entities are scored for every distinct query
of both directions, for ``slcwa`` each triple against one corrupted one. PyKEEN runs with inverse triples, which is the
training that ours does, and as it comes, where it trains tails alone and scores heads by a pass of their own.
Contestants take turns in processes of their own; figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from llm_lab.bench.mirror import mirror
from llm_lab.bench.report import ratio, save, show

COLUMNS = (
    "",
    "seconds an epoch",
    "seconds of evaluation",
    "test MRR",
    "epochs/s of ours to it",
    "evaluations/s of ours to it",
)
NAMES = {"ours": "ours", "pykeen": "PyKEEN, inverse triples", "pykeen_plain": "PyKEEN as it comes"}
INIT = 0.1  # standard deviation of the first vectors


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the table, write the JSON."""
    options = parse(words)
    rounds: dict[str, dict[str, list[dict[str, float]]]] = {}
    for loop in options.loops:
        rounds[loop] = {name: [] for name in NAMES}
        for number in range(options.rounds):
            for name in list(NAMES)[:: 1 if number % 2 else -1]:
                rounds[loop][name].append(contestant(name, loop, options))
                print(loop, name, rounds[loop][name][-1], flush=True)
        title = f"ComplEx {options.dim} on {options.graph}, batch {options.batch}, {options.epochs} epochs, {loop}"
        show(title, COLUMNS, [row(name, rounds[loop]) for name in NAMES])
    print(
        f"figures: {save('links', {'rounds': rounds, 'options': vars(options) | {'json': None}}, options.json)}"
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the options of this benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_lab.bench links", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--graph", default="codex_s", help="a choice of knowledge=")
    parser.add_argument("--dim", type=int, default=256, help="complex numbers per vector")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loops", nargs="+", choices=("lcwa", "slcwa"), default=["lcwa", "slcwa"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pykeen-python", default=sys.executable, help="an interpreter that has PyKEEN")
    return parser.parse_args(list(words))


def contestant(name: str, loop: str, options: argparse.Namespace) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    peer = name != "ours"
    python = options.pykeen_python if peer else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        job: dict[str, Any] = {
            "loop": loop, "graph": options.graph, "dim": options.dim, "batch": options.batch,
            "epochs": options.epochs, "init": INIT, "inverse": name != "pykeen_plain", "threads": options.threads,
            "figures": str(file), "folder": folder,
        }  # fmt: skip
        if peer:
            job["triples"] = prepared(options.graph, Path(folder))
        theirs = ["-P", str(Path(__file__).with_name("links_pykeen.py"))]
        script = theirs if peer else ["-m", "llm_lab.bench.links_ours"]
        subprocess.run([python, *script, json.dumps(job)], check=True, env=os.environ | mirror())
        figures: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
        return figures


def prepared(graph: str, folder: Path) -> dict[str, str]:
    """The triples of a graph as tables of names, one file per split, for whoever cannot read ours."""
    from llm_lab.bench.links_ours import graph_of

    triples = graph_of(graph)
    files = {}
    for split, ids in triples.splits.items():
        files[split] = str(folder / f"{split}.tsv")
        names = triples.entities, triples.relations, triples.entities
        lines = (
            "\t".join(one[number] for one, number in zip(names, row, strict=True)) for row in ids.tolist()
        )
        Path(files[split]).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return files


def row(name: str, rounds: dict[str, list[dict[str, float]]]) -> list[str]:
    """Make a contestant's line of the table."""
    figures = {key: [one[key] for one in rounds[name]] for key in rounds[name][0]}
    against = {
        key: ratio(figures[key], [one[key] for one in rounds["ours"]]) for key in ("epoch", "evaluation")
    }
    return [
        NAMES[name],
        f"{median(figures['epoch']):.2f}",
        f"{median(figures['evaluation']):.2f}",
        f"{median(figures['mrr']):.4f}",
        f"{against['epoch']:.1f}",
        f"{against['evaluation']:.1f}",
    ]
