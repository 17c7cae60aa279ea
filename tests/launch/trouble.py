"""A callback that brings trouble to one rank at one step, once; what a test needs to strike at a known moment.

Allowed in configs by ``LLM_LAB_ALLOW=tests`` with the repository on ``PYTHONPATH``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Literal

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from tests.launch.waiting import until

HELD = 120.0  # seconds


class Trouble(Callback):
    """Strike before a batch.

    Args:
        folder: where ``struck-RANK`` holds the process number; a rank that finds its own there is spared.
        step: optimizer steps done before.
        rank: whom it strikes; -1 strikes all.
        kind: ``kill`` dies without a word, ``raise`` fails, ``hold`` waits for a signal or for a file ``go``.
    """

    def __init__(
        self, *, folder: str, step: int, rank: int = 1, kind: Literal["kill", "raise", "hold"] = "kill"
    ) -> None:
        self.folder, self.step, self.rank, self.kind = Path(folder), step, rank, kind

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Strike, if it is time."""
        mark = self.folder / f"struck-{trainer.global_rank}"
        due = trainer.global_step == self.step and self.rank in (-1, trainer.global_rank)
        if not due or mark.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.kind == "hold":
            self._hold(mark)
            return
        mark.write_text(str(os.getpid()))
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise torch.OutOfMemoryError("this rank has had enough")

    def _hold(self, mark: Path) -> None:
        """Wait until a signal has reached this process and the handler that was there has seen it."""
        seen: list[int] = []

        def watch(number: signal.Signals) -> None:
            before = signal.getsignal(number)

            def handle(signum: int, frame: object) -> None:
                seen.append(signum)
                if callable(before):
                    before(signum, frame)  # type: ignore[arg-type]

            signal.signal(number, handle)

        for number in (signal.SIGUSR1, signal.SIGTERM):
            watch(number)
        mark.write_text(str(os.getpid()))
        until(lambda: seen or (self.folder / "go").exists(), HELD, "nobody came")
