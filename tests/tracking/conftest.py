"""A tiny model on numbers, a made-up classification result, and a wandb without a past."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from llm_lab.data.spec import DataSpec, Problem

LENGTH = 6


class Rows(Dataset[dict[str, torch.Tensor]]):
    """Ten rows of six tokens, two of them padding."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = torch.full((LENGTH,), index)
        mask = torch.tensor([1] * (LENGTH - 2) + [0] * 2)
        return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor(index % 2)}


class Network(torch.nn.Module):
    """Embedding, one linear layer, mean."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.linear = torch.nn.Embedding(10, 4), torch.nn.Linear(4, 2)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.linear(self.embedding(input_ids)).mean(dim=1)


class Toy(pl.LightningModule):
    """Logs a loss per step and one per validation."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Network()

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        logits = self.model(batch["input_ids"], batch["attention_mask"])
        return torch.nn.functional.cross_entropy(logits, batch["labels"])

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        loss = self.loss(batch)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        self.log("val/loss", self.loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., pl.Trainer]:
    """Train the toy, five steps an epoch, with callbacks and loggers of the test."""

    def run(
        *callbacks: pl.Callback, epochs: int = 1, ckpt_path: Path | None = None, **options: Any
    ) -> pl.Trainer:
        options = {"logger": False, "log_every_n_steps": 1} | options
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            callbacks=list(callbacks),
            default_root_dir=tmp_path,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
        loader = DataLoader(Rows(), batch_size=2)
        trainer.fit(Toy(), loader, loader, ckpt_path=ckpt_path, weights_only=True)
        return trainer

    return run


@pytest.fixture
def result(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Arguments of `write_report` for a made-up result of any problem and number of classes."""

    def make(
        problem: Problem = "single_label", names: tuple[str, ...] = ("no", "yes"), rows: int = 60
    ) -> dict[str, Any]:
        rng = np.random.default_rng(0)
        if problem == "single_label":
            labels: Any = rng.integers(0, len(names), rows)
            raw = rng.random((rows, len(names))) + 0.6 * np.eye(len(names))[labels]
            probabilities: Any = raw / raw.sum(axis=1, keepdims=True)
        elif problem == "multi_label":
            labels = rng.integers(0, 2, (rows, len(names)))
            probabilities = np.clip(0.6 * labels + 0.5 * rng.random(labels.shape), 0, 1)
        else:
            labels = rng.normal(size=rows)
            probabilities = labels + 0.1 * rng.normal(size=rows)
        tensors = {
            "index": torch.arange(rows),
            "probabilities": torch.tensor(probabilities),
            "labels": torch.tensor(labels),
        }
        spec = DataSpec(
            problem=problem,
            labels=names,
            sizes={"train": 100, "val": 10, "test": rows},
            tokenizer=tmp_path,
            max_length=8,
            fingerprint="f00d",
            summary={"licence": "MIT", "duplicates": {"train": 3, "test": 0}},
        )
        return {
            "config": {"name": "toy", "seed": 1},
            "metrics": {"test/accuracy": 0.9} if problem != "regression" else {"test/mse": 0.01},
            "spec": spec,
            "predictions": tensors,
            "rows": ({"index": index, "text": f"row {index}"} for index in range(rows)),
            "history": [{"step": step, "epoch": 0, "train/loss": 1 / step} for step in range(1, 9)],
        }

    return make


@pytest.fixture
def fresh_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key, no mode, no home with credentials, no service of an earlier test."""
    import wandb

    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    wandb.teardown()
    yield
    wandb.teardown()
