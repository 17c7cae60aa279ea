"""The rows of one split as a loader sees them, whatever file they lie in."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
from torch import Tensor

IntArray = npt.NDArray[np.int64]
Batch = dict[str, Tensor]


class Table(ABC):
    """Rows by number: how long they are, how many targets they hold, and several of them as a batch."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def lengths(self, rows: IntArray) -> IntArray:
        """Tokens of each row, [N] to [N]."""

    def weights(self, rows: IntArray, epoch: int) -> IntArray:
        """Targets of each row, [N] to [N]: of all the targets of a step each weighs the same. By default one."""
        return np.ones(len(rows), np.int64)

    @abstractmethod
    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """``input_ids`` [B, T], ``attention_mask`` [B, T] and what the task needs beside them.

        Where there are fewer rows than ranks, a rank without rows gets one filler row of inputs and no labels:
        what a model says beyond the labels does not count.
        """
