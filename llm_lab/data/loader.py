"""Batches from a table of rows; the training loader knows where it stands, so that runs resume in mid-epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from llm_lab.data.order import Cut, Order
from llm_lab.data.table import Batch, IntArray, Table


class BatchLoader:
    """Iterable of batches for evaluation: every row once, of nearly equal lengths.

    Args:
        table: rows of the split.
        cut: gives the way a step is cut, asked anew at each pass (accumulation may be scheduled).
        seed: seed of the order; None for the order of the rows.
    """

    epoch = 0

    def __init__(self, *, table: Table, cut: Callable[[], Cut], seed: int | None = None) -> None:
        self.table, self.cut, self.seed = table, cut, seed

    @property
    def order(self) -> Order:
        """The order of the batches under the present cut."""
        return Order(rows=len(self.table), lengths=self.table.lengths, cut=self.cut(), seed=self.seed)

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of this rank."""
        for rows, step in self.order.batches(epoch=0):
            yield self.batch(rows, step)

    def batch(self, rows: IntArray, step: IntArray) -> Batch:
        """Collate rows, with their numbers and the number of targets among all rows of their step."""
        return {
            **self.table.batch(rows, self.epoch),
            "index": torch.from_numpy(rows),
            "step_targets": torch.tensor(np.float32(self.table.weights(step, self.epoch).sum())),
        }


class TrainLoader(BatchLoader):
    """Batches in a random order, a pure function of seed and epoch.

    Its state is an epoch and a position in it. Lightning stores and restores that by itself, and counts the
    epochs; a bare loop gets the next epoch at every pass.

    Args:
        table: rows of the split.
        cut: gives the way a step is cut.
        seed: seed of the order.
        stop: gives the number of batches after which the trainer breaks an epoch off, None for all.
    """

    def __init__(
        self,
        *,
        table: Table,
        cut: Callable[[], Cut],
        seed: int,
        stop: Callable[[], int | None] = lambda: None,
    ) -> None:
        super().__init__(table=table, cut=cut, seed=seed)
        self.stop = stop
        self.epoch = 0
        self.position = 0
        self._restored = False

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the epoch; after a restore, those that are left of it."""
        if not self._restored and self.position >= len(self):
            self.set_epoch(self.epoch + 1)
        self.position = self.position if self._restored else 0
        self._restored = False
        for rows, step in self.order.batches(self.epoch, self.position, self.stop()):
            self.position += 1
            yield self.batch(rows, step)

    @property
    def sampler(self) -> TrainLoader:
        """Itself: Lightning calls ``sampler.set_epoch`` at the start of every epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; a restored position holds only for its own epoch."""
        if epoch != self.epoch:
            self.epoch, self.position, self._restored = epoch, 0, False

    def state_dict(self) -> dict[str, Any]:
        """Return epoch and position, the same on every rank."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a stored state at the next pass."""
        self.epoch, self.position, self._restored = int(state["epoch"]), int(state["position"]), True
