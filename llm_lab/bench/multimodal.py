"""Pictures and words: contrastive training beside a bare loop, batches alone, and what frozen towers made once.

The bare loop has the shape that open_clip documents (https://github.com/mlfoundations/open_clip), written anew by us,
since open_clip itself needs torchvision: files decoded and texts tokenized to 77 places row by row in a DataLoader,
autocast, cross-entropy both ways over scaled similarities with a learned scale, AdamW without decay on norms, biases.
Towers, rows and batch size are the same for both. Contestants take turns, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from llm_lab.bench.child import run_module
from llm_lab.bench.mirror import mirror
from llm_lab.bench.report import ratio, save, show

CONTESTANTS = {
    "bare": "a bare loop of open_clip's shape",
    "ours": "ours",
    "loader": "our batches, no model",
    "reading": "our first reading of the files",  # decoded, brought to size, written: what `loader` reads
}
SHARED = (
    "model=multimodal",
    "model/fusion=concat",
    "baseline=null",
    "logger=none",
    "trainer.limit_val_batches=0",
    "trainer.enable_progress_bar=false",
    "callbacks.progress=null",
    "callbacks.best=null",
    "callbacks.resume=null",
    "callbacks.early_stopping=null",
)
CONTRASTIVE = (
    *SHARED,
    "data=easy_vqa",
    "data.problem=modalities",
    "data.columns.label=null",
    "data.batch_size=128",
    "model/text=small",
    "model/image=vit_tiny",
    "model.image.sizes.patch_size=8",
    "task=cross_modal",
    "trainer.max_epochs=1",
)
FROZEN = (
    *SHARED,
    "data=mnist5k",
    "data.columns.picture={size: 96, channels: 3, augment: null, mean: 0.498, std: 0.502}",
    "model/image=efficientnet_lite0",
    "model.image.freeze=true",
    "trainer.max_epochs=3",
)
Rounds = dict[str, list[float]]


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the tables, write the JSON."""
    options = parse(words)
    rounds: Rounds = {name: [] for name in CONTESTANTS}
    names = list(CONTESTANTS)
    for number in range(options.rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            job = [*CONTRASTIVE, f"data.limit={options.rows}", f"seed={number + 1}"]
            rounds[name].append(measured(name, job)[0])
            print(f"{CONTESTANTS[name]:34} {rounds[name][-1]:8.0f} pictures/s", flush=True)
    epochs = measured("epochs", [*FROZEN, f"data.limit={options.pictures}"])
    show(
        f"contrastive training, {options.rows:,} rows",
        ("", "pictures/s", "ratio", "goal"),
        contrastive(rounds),
    )
    title = f"EfficientNet-Lite0, frozen, {options.pictures:,} pictures of 96 x 96"
    show(title, ("", "seconds", "first / this", "goal"), frozen(epochs))
    print(f"figures: {save('multimodal', {'rounds': rounds, 'epochs': epochs}, options.json)}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the options of this benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_lab.bench multimodal", description="pictures and words"
    )
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2560, help="of contrastive training")
    parser.add_argument("--pictures", type=int, default=1500, help="for the frozen tower")
    return parser.parse_args(list(words))


def measured(name: str, words: Sequence[str]) -> list[float]:
    """Figures of a contestant in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        module = "llm_lab.bench.multimodal_job"
        run_module(module, [name, str(file), *words], folder=Path(folder), environment=mirror())
        found: list[float] = json.loads(file.read_text(encoding="utf-8"))
        return found


def contrastive(rounds: Rounds) -> list[list[str]]:
    """The lines of the first table."""
    ratios = {
        "bare": ("", ""),
        "ours": (f"{ratio(rounds['ours'], rounds['bare']):.2f} of the bare loop", "1.5"),
        "loader": (f"{ratio(rounds['loader'], rounds['ours']):.1f} of ours", "3"),
        "reading": ("done once, in none of the others", ""),
    }
    return [[text, f"{median(rounds[name]):.0f}", *ratios[name]] for name, text in CONTESTANTS.items()]


def frozen(epochs: Sequence[float]) -> list[list[str]]:
    """The lines of the second table."""
    return [
        [f"epoch {number}", f"{seconds:.2f}", f"{epochs[0] / seconds:.1f}", "5" if number > 1 else ""]
        for number, seconds in enumerate(epochs, start=1)
    ]
