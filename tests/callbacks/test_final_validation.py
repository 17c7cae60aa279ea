"""A run is validated where it ends, whatever the distance of its validations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.demos.boring_classes import BoringModel
from torch.utils.data import DataLoader

from llm_lab.callbacks.final_validation import FinalValidation
from tests.callbacks.test_checkpoint import Ones


class Watched(BoringModel):
    def __init__(self) -> None:
        super().__init__()
        self.validated: list[int] = []

    def on_validation_end(self) -> None:
        self.validated.append(self.global_step)


@pytest.mark.parametrize(
    ("length", "validated"),
    [
        ({"max_epochs": 1}, [4]),
        ({"max_epochs": 3}, [8, 12]),
        ({"max_epochs": 4}, [8, 16]),
        ({"max_epochs": 4, "max_steps": 2}, [2]),
        ({"max_epochs": 4, "max_steps": 10}, [8, 10]),
        ({"max_epochs": -1, "max_steps": 6}, [6]),
    ],
)
def test_the_end_is_validated(length: dict[str, Any], validated: list[int], tmp_path: Path) -> None:
    trainer = Trainer(
        check_val_every_n_epoch=2,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
        callbacks=[FinalValidation()],
        logger=False,
        enable_checkpointing=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        **length,
    )
    torch.manual_seed(0)
    model = Watched()
    trainer.fit(model, DataLoader(Ones()), DataLoader(Ones()))
    assert model.validated == validated
