"""Stop between two steps, never inside one, and all ranks after the same one."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from llm_lab.callbacks.checkpoint import FOLDER, validation_follows
from llm_lab.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
log = logging.getLogger(__name__)


class GracefulStop(Callback):
    """On Ctrl-C, SIGTERM or SIGUSR1 finish the step, save a checkpoint and stop.

    SIGUSR1 is Slurm's usual notice that the time is over (`sbatch --signal`): the job asks to be run again. SIGTERM
    comes with `scancel`, after which it must not, and with Slurm's own preemption, which requeues by itself. A
    second Ctrl-C stops at once. A signal that reaches one rank stops all of them.

    Args:
        requeue: on SIGUSR1 put a Slurm job back into the queue; its resumed run goes on from the checkpoint.
    """

    def __init__(self, *, requeue: bool = False) -> None:
        self.requeue = requeue
        self.requested: int | None = None
        self._previous: dict[int, Any] = {}
        self._step = 0
        self._waits = False  # for a validation

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals over for the time of the fit; Python allows that in its main thread only."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._request) for number in SIGNALS}

    def _request(self, signum: int, frame: FrameType | None) -> None:
        if self.requested is None:
            again = "; press Ctrl-C again to stop without saving" if signum == signal.SIGINT else ""
            sys.stderr.write(f"\nstopping after this batch{again}\n")
        if self.requested not in (signal.SIGUSR1, signal.SIGUSR2):
            self.requested = signum
        if signum == signal.SIGINT:
            signal.signal(signum, self._previous[signum])

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Remember the step, to tell a finished optimizer step from an accumulating micro-batch."""
        self._step = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Save and leave once the optimizer has stepped: half-accumulated gradients are in no checkpoint."""
        if trainer.global_step == self._step:
            return
        if trainer.strategy.reduce_boolean_decision(self.requested is not None, all=False):
            self._waits = validation_follows(trainer)
            if not self._waits:
                self._leave(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save and leave after the validation that was due."""
        if self._waits:
            self._leave(trainer)

    def _leave(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(Path(trainer.default_root_dir) / FOLDER / f"step-{trainer.global_step}.ckpt")
        preempted = self._any(trainer, signal.SIGUSR1)
        if self.requeue and preempted and trainer.is_global_zero:
            _requeue()
        earlier = self._previous.get(signal.SIGUSR2)
        if self._any(trainer, signal.SIGUSR2) and callable(earlier):
            earlier(signal.SIGUSR2, None)
        raise Interrupted

    def _any(self, trainer: Trainer, signum: int) -> bool:
        """Whether the signal reached any rank."""
        return bool(trainer.strategy.reduce_boolean_decision(self.requested == signum, all=False))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back."""
        self._give_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back on every way out."""
        self._give_back()

    def _give_back(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())


def _requeue() -> None:
    """Ask Slurm to run this job again; outside of Slurm there is nobody to ask."""
    if (job := os.environ.get("SLURM_JOB_ID")) is None:
        return
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    if done.returncode:
        log.warning("Slurm did not requeue job %s: %s", job, done.stderr.strip())
