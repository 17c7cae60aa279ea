"""Logging steps as a fraction of the run, so that two steps and two days both give a curve."""

from __future__ import annotations

from pytorch_lightning import Callback, LightningModule, Trainer


class LogInterval(Callback):
    """Set the Trainer's logging interval once the length of the run is known.

    Args:
        fraction: distance between two logged steps as a fraction of the run's optimizer steps.
        steps: the same in steps; wins over ``fraction`` where given.
    """

    def __init__(self, *, fraction: float = 0.01, steps: int | None = None) -> None:
        self.fraction = fraction
        self.steps = steps

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set ``trainer.log_every_n_steps``."""
        interval = self.steps or max(1, int(self.fraction * trainer.estimated_stepping_batches))
        trainer.log_every_n_steps = interval  # type: ignore[attr-defined] # set by one of its connectors
