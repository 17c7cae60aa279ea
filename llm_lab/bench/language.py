"""Causal pretraining of a GPT-2 of 13.8 M parameters on blocks of 256 tokens: ours and transformers' Trainer.

Contestants take turns, each in a process of its own, on the same blocks; a round's ratio is taken within the round.
Ours keeps attention within documents, the Trainer's attention crosses them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from llm_lab.bench.child import run_module
from llm_lab.bench.clock import WARM_UP, Clock
from llm_lab.bench.mirror import mirror
from llm_lab.bench.report import ratio, save, show
from llm_lab.models.heads import Head

VOCABULARY, WIDTH, LAYERS, HEADS, LENGTH, BATCH = 8000, 384, 6, 6, 256, 8
RATE, DECAY, CLIP = 6e-4, 0.1, 1.0
WORDS = (
    "+experiment=pretrain_clm",
    "model=gpt2_tiny",
    *(
        f"model.sizes.{name}={size}"
        for name, size in (("n_embd", WIDTH), ("n_layer", LAYERS), ("n_head", HEADS))
    ),
    f"model.tokenizer.vocab_size={VOCABULARY}",
    "model.dropout=0.0",
    "optimizer=adamw",
    f"optimizer.lr={RATE}",
    f"optimizer.weight_decay={DECAY}",
    f"trainer.gradient_clip_val={CLIP}",
    f"data.max_length={LENGTH}",
    f"data.batch_size={BATCH}",
    "trainer.max_epochs=-1",
    # nobody else validates, tests, writes checkpoints or draws a progress bar
    "trainer.limit_val_batches=0",
    "trainer.limit_test_batches=1",
    "trainer.val_check_interval=1.0",
    "trainer.enable_progress_bar=false",
    "callbacks.best=null",
    "callbacks.resume=null",
    "callbacks.early_stopping=null",
    "baseline={}",
    "logger=none",
)
# Of the matrix products per token, forward and backward: six per weight, the vocabulary's included, and attention's two
# products over the half of the block that a token sees on average.
OPERATIONS = 6 * (LAYERS * 12 * WIDTH**2 + VOCABULARY * WIDTH) + 12 * LAYERS * WIDTH * LENGTH / 2
MODULES = {"ours": "llm_lab.bench.ours", "Trainer": "llm_lab.bench.language"}
COLUMNS = ("", "tokens/s", "of peak", "ours / this")


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the table, write the JSON."""
    options = parse(words)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in MODULES}
    extra = [f"trainer.max_steps={options.steps}", *options.words]
    for number in range(options.rounds):
        order = list(MODULES) if number % 2 == 0 else list(MODULES)[::-1]
        for name in order:
            rounds[name].append(measure(name, [*WORDS, *extra]))
            print(
                f"{name:10} round {number + 1}: {rounds[name][-1]['tokens_per_second']:7.0f} tokens/s",
                flush=True,
            )
    show(f"GPT-2, 13.8 M parameters, blocks of {LENGTH}", COLUMNS, [row(name, rounds) for name in rounds])
    print(f"figures: {save('language', {'rounds': rounds}, options.json)}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the options of this benchmark."""
    parser = argparse.ArgumentParser(prog="python -m llm_lab.bench language")
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--words", nargs="*", default=[], help="further words for the command line")
    return parser.parse_args(list(words))


def measure(name: str, words: Sequence[str]) -> dict[str, float]:
    """Run one contestant and put its figures in relation to the machine, measured beside it."""
    import torch

    from llm_lab.config.hardware import supports_bf16
    from llm_lab.tracking.peak import matrix_peak

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        run_module(MODULES[name], [str(file), *words], folder=Path(folder), environment=mirror())
        figures: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    peak = matrix_peak(torch.bfloat16 if supports_bf16("cpu") else torch.float32)
    speed = (figures["steps"] - WARM_UP) * BATCH * LENGTH / figures["seconds_after_warm_up"]
    share = speed * OPERATIONS / peak
    return figures | {"tokens_per_second": speed, "share_of_peak": share, "matrix_peak": peak}


def row(name: str, rounds: dict[str, list[dict[str, float]]]) -> list[str]:
    """Make a line of the table."""
    speeds = {key: [one["tokens_per_second"] for one in several] for key, several in rounds.items()}
    share = median(one["share_of_peak"] for one in rounds[name])
    return [name, f"{median(speeds[name]):.0f}", f"{share:.0%}", f"{ratio(speeds['ours'], speeds[name]):.2f}"]


def trainer(file: Path, words: Sequence[str]) -> None:
    """Train the same model on the same blocks with transformers' Trainer and write its figures."""
    import torch
    from transformers import Trainer, TrainingArguments

    from llm_lab.bench.contestants import Stopwatch
    from llm_lab.config import build
    from llm_lab.config.check import check
    from llm_lab.config.compose import compose
    from llm_lab.config.hardware import supports_bf16
    from llm_lab.data.module import DataModule

    config = check(compose(words)).config
    data: Any = build(config.data, expected=DataModule, key="data")
    spec, clock = data.prepare(), Clock()
    torch.manual_seed(config.seed)
    model = build(config.model, expected=torch.nn.Module, key="model", spec=spec, head=Head.CAUSAL_LM)
    run = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir="trainer",
            per_device_train_batch_size=BATCH,
            max_steps=config.trainer.max_steps,
            learning_rate=RATE,
            weight_decay=DECAY,
            max_grad_norm=CLIP,
            bf16=supports_bf16("cpu"),
            use_cpu=True,
            seed=config.seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Blocks(data.train_dataloader().table),
        callbacks=[Stopwatch(clock)],
    )
    run.train()
    file.write_text(json.dumps(clock.figures()), encoding="utf-8")


class Blocks:
    """Full blocks in memory as the Trainer wants them: it shifts the labels itself."""

    def __init__(self, table: Any) -> None:
        import numpy as np

        ids = table.batch(np.arange(len(table)), 0)["input_ids"]
        self.rows = [{"input_ids": row, "labels": row} for row in ids]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]


if __name__ == "__main__":
    trainer(Path(sys.argv[1]).resolve(), sys.argv[2:])
