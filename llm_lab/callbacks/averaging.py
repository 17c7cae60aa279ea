"""Averages of the weights along the run, for the memory of one more copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from torch.optim.swa_utils import get_ema_avg_fn, get_swa_avg_fn

from llm_lab.errors import ConfigError


class Averaging(WeightAveraging):
    """Lightning's weight averaging with a start relative to the run.

    Validation, every checkpoint's ``state_dict`` and the weights after the fit are the average; the weights
    in training stay beside it in full checkpoints, so that a resumed run goes on with both. Until the first
    update the weights in training stand for the average. Buffers are not averaged: those of transformers are
    whole numbers, position ids say.

    Args:
        average: torch's function of average, new weights and number of updates.
        start: from when on weights are averaged: below 1 a share of the run, from 1 on an optimizer step.
        every: optimizer steps between two updates.
    """

    def __init__(self, *, average: Any, start: float, every: int) -> None:
        if start < 0 or every < 1:
            raise ConfigError(f"start must not be negative and every at least 1, found {start} and {every}")
        super().__init__(use_buffers=False, avg_fn=average)
        self.start, self.every = start, every
        self.first = 0

    @property
    def begun(self) -> bool:
        """Whether the average holds anything yet."""
        return self._average_model is not None and bool(self._average_model.n_averaged > 0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Turn the share of the run into a step."""
        share = self.start < 1
        self.first = round(self.start * trainer.estimated_stepping_batches) if share else int(self.start)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Whether the weights after a step go into the average."""
        del epoch_idx
        return step_idx is not None and step_idx >= self.first and (step_idx - self.first) % self.every == 0

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the average in place."""
        if self.begun:
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the weights in training back."""
        if self.begun:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average in place."""
        if self.begun:
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Store the average, and the weights in training beside it."""
        if self.begun:
            super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: Mapping[str, Any]
    ) -> None:
        """Go on with both in a resumed fit; a test gets the average, the checkpoint's ``state_dict``."""
        if trainer.state.fn == TrainerFn.FITTING and "averaging_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, dict(checkpoint))

    def store_weights(self, checkpoint: dict[str, Any]) -> None:
        """Put the average into a checkpoint of weights alone, for which Lightning calls no callback."""
        if self._average_model is not None and self.begun:
            state = self._average_model.module.state_dict()
            checkpoint["state_dict"] = {name: state[name] for name in checkpoint["state_dict"]}


class EMA(Averaging):
    """Exponential moving average (Tarvainen and Valpola 2017, https://arxiv.org/abs/1703.01780).

    Args:
        decay: share of the old average that each update keeps; 1 / (1 - decay) updates are averaged.
        start: see `Averaging`.
        every: see `Averaging`.
    """

    def __init__(self, *, decay: float = 0.999, start: float = 0.0, every: int = 1) -> None:
        if not 0 < decay < 1:
            raise ConfigError(f"decay must lie between 0 and 1, found {decay}")
        super().__init__(average=get_ema_avg_fn(decay), start=start, every=every)  # type: ignore[no-untyped-call]


class SWA(Averaging):
    """Plain mean of the weights over the end of the run (Izmailov et al. 2018, https://arxiv.org/abs/1803.05407).

    Args:
        start: see `Averaging`.
        every: see `Averaging`.
    """

    def __init__(self, *, start: float = 0.75, every: int = 1) -> None:
        super().__init__(average=get_swa_avg_fn(), start=start, every=every)  # type: ignore[no-untyped-call]
