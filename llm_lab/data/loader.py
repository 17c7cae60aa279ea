"""Batches from a token table; knows where it stands, so that a run goes on in mid-epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from llm_lab.data.arrow import IntArray, TokenTable
from llm_lab.data.collate import Batch, pad
from llm_lab.data.order import Cut, Order


class BatchLoader:
    """Iterable of batches whose state is an epoch and a position: Lightning stores and restores both by itself.

    Args:
        table: rows of the split.
        pad_id: token number that fills rows up.
        cut: gives the way a step is cut, asked anew at each epoch (accumulation may be scheduled).
        seed: seed of the order; None for evaluation, in the order of the rows.
        stop: gives the number of batches after which the trainer breaks an epoch off, None for all.
    """

    def __init__(
        self,
        *,
        table: TokenTable,
        pad_id: int,
        cut: Callable[[], Cut],
        seed: int | None,
        stop: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.table, self.pad_id, self.cut, self.seed, self.stop = table, pad_id, cut, seed, stop
        self.epoch = 0
        self.position = 0
        self._resumed = False

    @property
    def order(self) -> Order:
        """The order of the batches under the present cut."""
        return Order(rows=len(self.table), lengths=self.table.lengths, cut=self.cut(), seed=self.seed)

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the epoch; after a restore, those that are left of it."""
        if not self._resumed and self.position >= len(self):
            self.set_epoch(self.epoch + 1)  # a bare loop has nobody to count its epochs
        self.position = self.position if self._resumed else 0
        self._resumed = False
        for rows, step_rows in self.order.batches(self.epoch, self.position, self.stop()):
            self.position += 1
            yield self.batch(rows, step_rows)

    def batch(self, rows: IntArray, step_targets: int) -> Batch:
        """Collate rows; every row is one target, whatever the number of labels it holds."""
        return {
            **pad(self.table.tokens(rows), pad_id=self.pad_id),
            "labels": torch.from_numpy(self.table.targets(rows)),
            "index": torch.from_numpy(rows),
            "step_targets": torch.tensor(np.float32(step_targets)),
        }

    @property
    def sampler(self) -> BatchLoader:
        """Itself: Lightning calls ``sampler.set_epoch`` at the start of every epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; a restored position holds only for its own epoch."""
        if epoch != self.epoch:
            self.epoch, self.position, self._resumed = epoch, 0, False

    def state_dict(self) -> dict[str, Any]:
        """Return epoch and position, the same on every rank."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a stored state at the next iteration."""
        self.epoch, self.position, self._resumed = int(state["epoch"]), int(state["position"]), True
