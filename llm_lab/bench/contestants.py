"""The contestants that are not us; ``python -m llm_lab.bench.contestants NAME FILE WORDS...`` runs one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    get_linear_schedule_with_warmup,
)

from llm_lab.bench.clock import Clock
from llm_lab.bench.job import BATCH, CLIP, DECAY, RATE, WARMUP
from llm_lab.config import build
from llm_lab.config.check import check
from llm_lab.config.compose import compose
from llm_lab.config.hardware import supports_bf16
from llm_lab.data.arrow import TokenTable
from llm_lab.data.module import DataModule
from llm_lab.models.folder import model_folder

Contestant = Callable[[Any, DataModule, int], tuple[nn.Module, Clock]]


def plain_model(config: Any, seed: int) -> Any:
    """Make the classifier as transformers does."""
    torch.manual_seed(seed)
    folder = model_folder(config.model.source)
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)


def bare(config: Any, data: DataModule, seed: int) -> tuple[nn.Module, Clock]:
    """Train in a PyTorch loop over our length-bucketed batches."""
    model, clock = plain_model(config, seed).train(), Clock()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    batches = data.train_dataloader()
    schedule = get_linear_schedule_with_warmup(optimizer, int(WARMUP * len(batches)), len(batches))
    bf16 = supports_bf16("cpu")
    clock.start()
    for step, batch in enumerate(batches, start=1):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(**inputs(batch), labels=batch["labels"]).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        clock.stop(step)
    return model, clock


def trainer(config: Any, data: DataModule, seed: int, *, strategy: str) -> tuple[nn.Module, Clock]:
    """Train with transformers' Trainer; `strategy` is how it samples."""
    clock, table = Clock(), cast("TokenTable", data.train_dataloader().table)
    rows = np.arange(len(table))
    run = Trainer(
        model=plain_model(config, seed),
        args=arguments(seed, strategy),
        train_dataset=_Rows(table.tokens(rows), table.batch(rows, 0)["labels"].numpy()),
        data_collator=DataCollatorWithPadding(AutoTokenizer.from_pretrained(data.spec.tokenizer)),
        callbacks=[Stopwatch(clock)],
    )
    run.train()
    return run.model, clock


def arguments(seed: int, strategy: str) -> Any:
    """Return the job's settings in the Trainer's words; what is not named keeps its default."""
    return TrainingArguments(
        output_dir="trainer",
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        learning_rate=RATE,
        weight_decay=DECAY,
        warmup_steps=WARMUP,
        max_grad_norm=CLIP,
        bf16=supports_bf16("cpu"),
        use_cpu=True,
        seed=seed,
        train_sampling_strategy=strategy,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


class _Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Token lists in memory, the quickest a Trainer can get."""

    def __init__(self, tokens: list[Any], labels: Any) -> None:
        self.rows = [
            {"input_ids": ids.tolist(), "labels": int(label)}
            for ids, label in zip(tokens, labels, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]


class Stopwatch(TrainerCallback):
    """The clock as a callback of transformers' Trainer."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self.clock.start()

    def on_step_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        self.clock.stop(state.global_step)


def inputs(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what the model takes of our batches."""
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


@torch.no_grad()
def accuracy(model: nn.Module, batches: Iterable[dict[str, Tensor]]) -> float:
    """Return the share of right labels."""
    model.eval()
    right = [model(**inputs(batch)).logits.argmax(-1) == batch["labels"] for batch in batches]
    return float(torch.cat(right).float().mean())


def operations(model: Any, lengths: Tensor) -> float:
    """Return the operations of one epoch's matrix products as the plain model needs them, padding left out.

    Six per weight and token (forward, and two products backward), and attention's two products.
    """
    layers = model.base_model.encoder.layer
    weights = sum(weight.numel() for weight in layers.parameters() if weight.ndim > 1)
    attention = 12 * len(layers) * model.config.hidden_size * (lengths**2).sum()
    return float(6 * weights * lengths.sum() + attention)


def job_facts(config: Any, data: DataModule) -> dict[str, float]:
    """Return rows and operations of an epoch."""
    table = data.train_dataloader().table
    lengths = torch.from_numpy(table.lengths(np.arange(len(table)))).double()
    return {"examples": len(table), "operations": operations(plain_model(config, 0), lengths)}


CONTESTANTS: dict[str, Contestant] = {
    "bare": bare,
    "trainer": partial(trainer, strategy="random"),
    "trainer, by length": partial(trainer, strategy="group_by_length"),
}


def main(name: str, file: Path, words: Sequence[str]) -> None:
    """Run a contestant on the composed job and write its figures; the name `facts` writes those of the job."""
    config = check(compose(words)).config
    data: Any = build(config.data, expected=DataModule, key="data")
    data.prepare()
    if name == "facts":
        figures = job_facts(config, data)
    else:
        model, clock = CONTESTANTS[name](config, data, config.seed)
        figures = clock.figures() | {"accuracy": accuracy(model, data.test_dataloader())}
    file.write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
