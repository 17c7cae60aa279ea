"""Validate at the end of a run that ends inside an epoch."""

from __future__ import annotations

from pytorch_lightning import Callback, LightningModule, Trainer


class FinalValidation(Callback):
    """Stop at ``max_steps`` by request instead of by count: only then does Lightning validate once more.

    Without it a run of ``trainer.max_steps`` shorter than an epoch would have no ``val/...`` figure to monitor.
    """

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Ask for the stop after the last step."""
        if 0 < trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True
