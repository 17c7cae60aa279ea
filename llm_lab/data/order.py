"""Which rows make up which batch: a pure function of seed, epoch and the rows of an optimizer step.

Memory does not grow with the table: the order is computed a window at a time, never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from llm_lab.data.table import IntArray

WINDOW = 4096  # rows sorted by length together: random enough to learn from, sorted enough to pad little
ROUNDS = 4


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How the rows of one optimizer step are cut: ``accumulate`` times ``world_size`` micro-batches."""

    batch_size: int
    accumulate: int = 1
    world_size: int = 1
    rank: int = 0

    @property
    def step_rows(self) -> int:
        """Rows of a whole step; the same rows make up a step however it is cut."""
        return self.batch_size * self.accumulate * self.world_size


class Order:
    """Length-bucketed order of the batches of one rank.

    Rows are shuffled, sorted by length inside windows of about ``WINDOW`` rows, cut into steps, and the steps
    of a window shuffled. The rows that do not fill a step come last, cut as evenly as can be; a rank that
    gets none of them gets none in its batch either, so that all ranks make the same number of steps.

    Args:
        rows: rows of the split.
        lengths: tokens per row, [N] to [N].
        cut: how a step is cut.
        seed: with the epoch the only source of chance; None keeps the rows in their order (evaluation).
    """

    def __init__(
        self, *, rows: int, lengths: Callable[[IntArray], IntArray], cut: Cut, seed: int | None
    ) -> None:
        self.rows, self.lengths, self.cut, self.seed = rows, lengths, cut, seed
        self.full, self.rest = divmod(rows, cut.step_rows)
        self.windows = max(1, min(self.full, self.full * cut.step_rows // WINDOW))

    def __len__(self) -> int:
        return self.full * self.cut.accumulate + self._rest_batches

    @property
    def _rest_batches(self) -> int:
        return -(-self.rest // (self.cut.batch_size * self.cut.world_size))

    def batches(
        self, epoch: int, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield the rows of this rank's micro-batches from ``start`` on, each with all rows of its step.

        Args:
            epoch: number of the epoch.
            start: micro-batches to leave out, for resuming.
            stop: number of micro-batches after which the epoch will be broken off: a step that this cuts
                short has only the rows that it gets to see.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        for step, parts in self._steps(epoch, start // self.cut.accumulate):
            first = step * self.cut.accumulate
            if first >= stop:
                return
            seen = parts[: (stop - first) * self.cut.world_size]
            step_rows = np.concatenate(seen)
            for number, rows in enumerate(seen[self.cut.rank :: self.cut.world_size], start=first):
                if number >= start:
                    yield rows, step_rows

    def _steps(self, epoch: int, start: int) -> Iterator[tuple[int, list[IntArray]]]:
        """Yield each step with its micro-batches, those of one moment side by side."""
        bounds = [self.full * window // self.windows for window in range(self.windows + 1)]
        tail = np.empty(0, np.int64)
        for window, (low, high) in enumerate(pairwise(bounds)):
            if high <= start:
                continue
            steps, tail = self._window(epoch, window, low, high)
            for step in range(max(start, low), high):
                yield step, np.split(steps[step - low], self.cut.accumulate * self.cut.world_size)
        if self.rest:
            rows = tail if len(tail) else self._sorted(epoch, self.full * self.cut.step_rows, self.rows)
            yield self.full, np.array_split(rows, self._rest_batches * self.cut.world_size)

    def _window(self, epoch: int, window: int, low: int, high: int) -> tuple[IntArray, IntArray]:
        """Rows of the steps from ``low`` to ``high``; in evaluation the last window's longest rows as well."""
        size = self.cut.step_rows
        with_rest = self.seed is None and high == self.full
        rows = self._sorted(epoch, low * size, self.rows if with_rest else high * size)
        steps, tail = rows[: (high - low) * size].reshape(high - low, size), rows[(high - low) * size :]
        if self.seed is not None:
            steps = steps[np.random.default_rng([self.seed, epoch, window]).permutation(len(steps))]
        return steps, tail

    def _sorted(self, epoch: int, start: int, stop: int) -> IntArray:
        places = np.arange(start, stop)
        rows = places if self.seed is None else shuffled(places, self.rows, seed=(self.seed, epoch))
        return rows[np.argsort(self.lengths(rows), kind="stable")]


def shuffled(places: IntArray, count: int, *, seed: tuple[int, int]) -> IntArray:
    """Rows that stand at these places of a random permutation of ``range(count)``, which is never made.

    Rounds of an odd multiplication, an addition and an xor-shift are bijections of the numbers below a power
    of two; numbers that fall outside the range walk on until they fall inside (cycle walking: Black and
    Rogaway 2002).
    """
    bits = max(2, (count - 1).bit_length())
    mask, shift = np.uint64((1 << bits) - 1), np.uint64((bits + 1) // 2)
    keys = np.random.default_rng(seed).integers(0, 1 << 63, (ROUNDS, 2), np.uint64)
    rows = places.astype(np.uint64)
    outside = np.ones(len(rows), bool)
    while outside.any():
        values = rows[outside]
        for factor, offset in keys:
            values = (values * (factor | np.uint64(1)) + offset) & mask
            values ^= values >> shift
        rows[outside] = values
        outside = rows >= count
    return rows.astype(np.int64)
