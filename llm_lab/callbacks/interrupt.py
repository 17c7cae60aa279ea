"""Stop between two batches, never inside one."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from llm_lab.callbacks.checkpoint import FOLDER
from llm_lab.errors import Interrupted


class GracefulStop(Callback):
    """On the first Ctrl-C finish the batch, save a checkpoint and stop; a second one stops at once."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = signal.SIG_DFL
        self._step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over SIGINT for the time of the fit."""
        self._previous = signal.signal(signal.SIGINT, self._request)

    def _request(self, signum: int, frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(signal.SIGINT, self._previous)
        sys.stderr.write("\nstopping after this batch; press Ctrl-C again to stop without saving\n")

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Remember the step, to tell a finished optimizer step from an accumulating micro-batch."""
        self._step = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Save and leave once the optimizer has stepped: half-accumulated gradients are in no checkpoint."""
        if self.requested and trainer.global_step > self._step:
            trainer.save_checkpoint(
                Path(trainer.default_root_dir) / FOLDER / f"step-{trainer.global_step}.ckpt"
            )
            raise Interrupted

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give SIGINT back."""
        signal.signal(signal.SIGINT, self._previous)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give SIGINT back on every way out."""
        signal.signal(signal.SIGINT, self._previous)
