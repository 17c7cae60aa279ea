"""Seconds from the fetch of the first batch to the end of the last step, for every kind of loop."""

from __future__ import annotations

import resource
import sys
import time

from pytorch_lightning import Callback, LightningModule, Trainer

WARM_UP = 3  # steps in which kernels are built and memory is claimed


class Clock(Callback):
    """Stopwatch; a Lightning callback too.

    Attributes:
        seconds: from the start to the last step.
        steps: optimizer steps seen.
        peak_rss: peak resident memory of the process at the last step, in bytes.
        curve: seconds of training, without the validations, and ``val/loss`` at each of these.
    """

    def __init__(self) -> None:
        self.seconds, self.steps, self.peak_rss = 0.0, 0, 0
        self.curve: list[tuple[float, float]] = []
        self._start = self._warm = self._paused = self._off = 0.0

    def start(self) -> None:
        """Note that the first batch is about to be fetched; a second call changes nothing."""
        self._start = self._start or time.perf_counter()

    def stop(self, steps: int) -> None:
        """Note that a step has ended; the last call counts."""
        self.seconds, self.steps = time.perf_counter() - self._start, steps
        if steps == WARM_UP:
            self._warm = self.seconds

    def pause(self) -> None:
        """Note that a validation begins, which the curve does not count."""
        self._paused = time.perf_counter()

    def go_on(self, loss: float) -> None:
        """Note that the validation has ended, and its loss."""
        self.curve.append((self._paused - self._start - self._off, loss))
        self._off += time.perf_counter() - self._paused

    def figures(self) -> dict[str, float]:
        """Return what was measured."""
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {
            "seconds": self.seconds,
            "seconds_after_warm_up": self.seconds - self._warm,
            "steps": self.steps,
            "peak_rss": peak,
        }

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start with the first epoch."""
        self.start()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Stop, perhaps for good."""
        self.stop(trainer.global_step)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the time of the curve."""
        self.pause()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note a point of the curve."""
        self.go_on(float(trainer.callback_metrics["val/loss"]))
