"""The graph store on made-up triples: seconds and memory of a load, of the arrays of ids, of queries."""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

from llm_lab.bench.report import save, show

MIB = 1 << 10  # the kernel counts in KiB
RELATIONS = 200
QUERY = "SELECT ?a ?c { ?a :r1 ?b . ?b :r2 ?c } LIMIT 10000"


def write_triples(path: Path, count: int, *, seed: int = 0) -> None:
    """Write triples of an eighth as many entities; the usual ones are in many triples."""
    rng = random.Random(seed)  # noqa: S311 - made-up triples
    entities = max(2, count // 8)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            head, tail = rng.randrange(entities), int(entities * rng.random() ** 3)
            file.write(f"entity {head}\tr{rng.randrange(RELATIONS)}\tentity {tail}\n")


def measure(folder: Path) -> dict[str, dict[str, float]]:
    """Load `triples.tsv` of a folder into a store there: seconds, processor seconds, peak MiB after each step."""
    from llm_lab.knowledge.formats.source import parse_graph
    from llm_lab.knowledge.ids import ids
    from llm_lab.knowledge.load import load
    from llm_lab.knowledge.store import Store

    store = Store(path=folder / "store")
    table = parse_graph(str(folder / "triples.tsv"))
    found = {
        "load": _timed(lambda: load(store, table, rejected=folder / "rejected.jsonl")),
        "ids": _timed(lambda: ids(store, folder / "ids")),
        "query": _timed(lambda: list(store.query(QUERY).rows)),
    }
    return found | {"sizes": {"facts": len(store)}}


def _timed(work: Callable[[], object]) -> dict[str, float]:
    wall, cpu = perf_counter(), process_time()
    work()
    return {
        "seconds": perf_counter() - wall,
        "processor seconds": process_time() - cpu,
        "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB,
    }


def in_own_process(count: int) -> dict[str, dict[str, float]]:
    """Measure a graph of ``count`` triples in a process that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        write_triples(Path(folder) / "triples.tsv", count)
        done = subprocess.run(
            [sys.executable, "-m", "llm_lab.bench.graph", "--measure", folder],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m llm_lab.bench graph", description="the graph store")
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--triples", type=int, default=1_000_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(list(words))
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    found = in_own_process(options.triples)
    steps = {"load": "a table into a store on disk", "ids": "arrays of ids", "query": "10,000 joined answers"}
    rows = [
        [text, *(f"{found[step][key]:.1f}" for key in ("seconds", "processor seconds", "MiB"))]
        for step, text in steps.items()
    ]
    title = (
        f"{options.triples:,} triples, {found['sizes']['facts']:,.0f} of them different; peak memory so far"
    )
    show(title, ("", "seconds", "processor seconds", "MiB"), rows)
    print(f"figures: {save('graph', found, options.json)}")


if __name__ == "__main__":
    main(sys.argv[1:])
