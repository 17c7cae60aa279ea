"""Validate at the end of a run, wherever it ends."""

from __future__ import annotations

from pytorch_lightning import Callback, LightningModule, Trainer


class FinalValidation(Callback):
    """Make the last batch of a run one that a validation follows, so that there is a ``val/...`` figure to monitor.

    At ``max_steps`` it stops by request instead of by count: only then does Lightning validate inside an epoch. The
    last epoch is validated even where ``check_val_every_n_epoch`` would leave it out.
    """

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Ask for the stop after the last step, and for a validation of the last epoch."""
        if stops := 0 < trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True
        last = trainer.current_epoch + 1
        if (stops or last == trainer.max_epochs) and trainer.check_val_every_n_epoch is not None:
            trainer.check_val_every_n_epoch = last  # which divides it
