"""Checkpoints to go on from stand where they should, whenever validation comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.demos.boring_classes import BoringModel
from torch.utils.data import DataLoader, Dataset

from llm_lab.callbacks.checkpoint import FOLDER, ResumeCheckpoint


class Ones(Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.ones(32)


@pytest.mark.parametrize(
    "validation",
    [{}, {"val_check_interval": 0.5}, {"check_val_every_n_epoch": 2}, {"limit_val_batches": 0}],
)
@pytest.mark.parametrize(("interval", "steps"), [(0.25, [12, 16]), (0.375, [6, 12]), (0.5, [8, 16])])
def test_the_newest_two_are_kept_at_even_distances(
    validation: dict[str, Any], interval: float, steps: list[int], tmp_path: Path
) -> None:
    trainer = Trainer(
        max_epochs=4,
        default_root_dir=tmp_path,
        callbacks=[ResumeCheckpoint(interval=interval, keep=2)],
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        **validation,
    )
    trainer.fit(BoringModel(), DataLoader(Ones()), DataLoader(Ones()))
    kept = sorted(int(file.stem.removeprefix("step-")) for file in (tmp_path / FOLDER).iterdir())
    assert kept == steps
