"""Memory against table size: peak anonymous memory above the imports, tokenizing and reading batches."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path
from time import perf_counter

SIZES = (100_000, 1_000_000)
INTERVAL = 0.005  # seconds between two samples
WORDS = 20_000  # of the made-up language
LONGEST = 40  # words of a text
MIB = 1 << 20


def write_table(path: Path, rows: int, *, longest: int, seed: int = 0) -> None:
    """Write a CSV of ``rows`` texts of 5 to ``longest`` words, no two alike, with two labels."""
    rng = random.Random(seed)  # noqa: S311 - made-up texts
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(WORDS)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for row in range(rows):
            text = " ".join(rng.choices(words, k=rng.randint(5, longest)))
            writer.writerow((f"{text} {row}", ("negative", "positive")[row % 2]))


def anonymous() -> int:
    """Anonymous resident memory of this process in bytes (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this kernel does not tell anonymous memory")


@contextmanager
def peak() -> Iterator[list[int]]:
    """Sample the anonymous memory while the block runs; the list's only element becomes the peak."""
    found, ended = [anonymous()], threading.Event()

    def sample() -> None:
        while not ended.wait(INTERVAL):
            found[0] = max(found[0], anonymous())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        found[0] = max(found[0], anonymous())


def measure(table: Path) -> dict[str, float]:
    """Prepare a table and read one epoch of batches: peak MiB above the imports, seconds, batches."""
    import pytorch_lightning  # noqa: F401 - all that a run imports counts as import
    import transformers.models.auto  # noqa: F401

    from llm_lab.data.text_classification import TextClassificationData

    tokenizer: dict[str, object] = {"_target_": "llm_lab.data.tokenizers.Trained", "kind": "wordpiece"}
    tokenizer |= {"vocab_size": 8000, "max_rows": 10_000}
    data = TextClassificationData(
        source=f"file://{table}", tokenizer=tokenizer, licence="none", max_length=64
    )
    start, begin = anonymous(), perf_counter()
    with peak() as found:
        data.prepare()
        prepared = perf_counter()
        batches = sum(1 for _ in data.train_dataloader())
    return {
        "MiB": (found[0] - start) / MIB,
        "seconds": prepared - begin,
        "batches/s": batches / (perf_counter() - prepared),
    }


def in_own_processes(rows: int, *, longest: int = LONGEST) -> dict[str, float]:
    """Measure a table of ``rows`` rows: a process that tokenizes it, and one that finds the tokens and trains."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        write_table(table, rows, longest=longest)
        tokenizing, training = _process(table), _process(table)
    return {
        "tokenizing": tokenizing["MiB"],
        "training": training["MiB"],
        "seconds": tokenizing["seconds"],
        "batches/s": training["batches/s"],
    }


def _process(table: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "llm_lab.bench.memory", str(table)],
        env=environ | {"LLM_LAB_HOME": str(table.parent / "home")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(sizes: tuple[int, ...] = SIZES) -> None:
    """Print a line per size, and the growth from the first to the last."""
    print("peak anonymous memory above the imports")
    print(f"{'rows':>10} {'tokenizing MiB':>15} {'training MiB':>13} {'seconds':>8} {'batches/s':>10}")
    found = []
    for rows in sizes:
        found.append(in_own_processes(rows))
        cells = "{tokenizing:>15.1f} {training:>13.1f} {seconds:>8.1f} {batches/s:>10.0f}"
        print(f"{rows:>10,} " + cells.format(**found[-1]), flush=True)
    growth = [found[-1][phase] / found[0][phase] for phase in ("tokenizing", "training")]
    print(f"{'growth':>10} {growth[0]:>15.3f} {growth[1]:>13.3f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]))))
    else:
        main()
