"""Randomness as a pure function of the seed and the step."""

from __future__ import annotations

import hashlib

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from llm_lab.strategies.parallel import replica


class StepSeed(Callback):
    """Seed torch before every micro-batch from (seed, step, micro-batch, share of the rows).

    Dropout then needs no generator state in a checkpoint: a run that is resumed anywhere draws what the
    uninterrupted run would have drawn, whatever validation or a new data loader consumed in between. Ranks that
    compute parts of the same layers draw alike, as they must where they all hold the same activations.

    Args:
        seed: the run's seed.
    """

    def __init__(self, *, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Seed torch's generators; about 10 microseconds."""
        key = f"{self.seed}/{trainer.global_step}/{batch_idx}/{replica(trainer)[0]}"
        torch.manual_seed(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=7).digest(), "little"))
