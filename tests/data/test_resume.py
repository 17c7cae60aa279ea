"""A run that goes on from any of its checkpoints sees the batches that it would have seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from tests.data.conftest import Make, sentence, table

EPOCHS = 3


class Recorder(LightningModule):
    """A model of one weight that notes which rows it sees in which epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: list[tuple[int, int, list[int], float, list[list[int]]]] = []

    def training_step(self, batch: dict[str, torch.Tensor], number: int) -> torch.Tensor:
        rows, targets = batch["index"].tolist(), float(batch["step_targets"])
        tokens = batch["input_ids"].sum(1, keepdim=True)
        self.seen.append((self.current_epoch, number, rows, targets, tokens.tolist()))
        return self.layer(tokens.float()).mean()

    def validation_step(self, batch: dict[str, torch.Tensor], number: int) -> None:
        """Nothing: validation only has to take place."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert (
            self.trainer.estimated_stepping_batches > 0
        )  # as schedules ask; makes the loader before the restore
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def fit(data: Any, folder: Path, point: Path | None = None, **options: Any) -> list[Any]:
    model = Recorder()
    keep = ModelCheckpoint(
        folder, "{step}", every_n_train_steps=1, save_top_k=-1, save_on_train_epoch_end=False
    )
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[keep] if point is None else [],
        enable_checkpointing=point is None,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": EPOCHS, **options},
    )
    trainer.fit(model, data, ckpt_path=point, weights_only=True)
    return model.seen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate_grad_batches": 3},
        {"limit_train_batches": 4},
        {"max_epochs": -1, "max_steps": 11},
        {"limit_val_batches": 0},
        {"val_check_interval": 2},
    ],
    ids=lambda options: next(iter(options), "plain"),
)
def test_every_checkpoint_continues_the_order(make: Make, tmp_path: Path, options: dict[str, Any]) -> None:
    content = table((sentence(number), number % 2) for number in range(60))

    def data() -> Any:
        return make(content, batch_size=8, split={"val": 0.2})

    whole = fit(data(), tmp_path / "points", **options)
    points = sorted((tmp_path / "points").glob("*.ckpt"), key=lambda path: int(path.stem.partition("=")[2]))
    accumulate = options.get("accumulate_grad_batches", 1)
    per_epoch = 1 + max(number for _, number, *_ in whole)
    assert len(points) >= 5
    for point in points:
        rest = fit(data(), tmp_path, point=point, **options)
        assert rest == whole[len(whole) - len(rest) :]
        steps = int(point.stem.partition("=")[2])
        steps_per_epoch = -(-per_epoch // accumulate)
        done = steps // steps_per_epoch * per_epoch + steps % steps_per_epoch * accumulate
        assert len(rest) == len(whole) - done
