"""What one rank can tell of its steps and of its memory while it trains."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Probe(Callback):
    """Times steps, and measures the memory of the fit and of the optimizer's state.

    Args:
        file: where the figures go when the fit ends.
        warm_up: steps that are not timed.
    """

    def __init__(self, *, file: Path, warm_up: int = 2) -> None:
        self.file, self.warm_up = file, warm_up
        self._ends: list[float] = []
        self._cpu: list[float] = []
        self._before = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note the memory in use before there are weights, and forget the peak so far."""
        with contextlib.suppress(OSError):
            CLEAR.write_text("5", encoding="ascii")
        self._before = memory("VmRSS")

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Note the end of an optimizer step."""
        if trainer.global_step > len(self._ends):
            self._ends.append(time.perf_counter())
            self._cpu.append(time.process_time())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the figures: seconds of each step on the clock and on processors, bytes, parameters."""
        ends = self._ends[self.warm_up :]
        figures = {
            "seconds": [end - start for start, end in pairwise(ends)],
            "cpu_seconds": [end - start for start, end in pairwise(self._cpu[self.warm_up :])],
            "peak_rss": memory("VmHWM"),
            "above_start": memory("VmHWM") - self._before,
            "optimizer_state": sum(map(state_bytes, trainer.optimizers)),
            "parameters": sum(parameter.numel() for parameter in pl_module.parameters()),
        }
        self.file.write_text(json.dumps(figures), encoding="utf-8")


def memory(name: str) -> int:
    """A figure of this process's memory in bytes, by the name that Linux gives it."""
    for line in STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def state_bytes(optimizer: Any) -> int:
    """Bytes of the tensors that an optimizer keeps on this rank between its steps."""
    while hasattr(optimizer, "optimizer"):  # DeepSpeed's optimizers hold torch's
        optimizer = optimizer.optimizer
    return sum(_local(value).nbytes for value in _tensors(optimizer.state))


def _tensors(state: Any) -> Iterator[Tensor]:
    for kept in state.values():
        yield from (value for value in kept.values() if isinstance(value, Tensor))


def _local(value: Tensor) -> Tensor:
    local = getattr(value, "to_local", None)
    found = local() if local else value
    return found if isinstance(found, torch.Tensor) else value
