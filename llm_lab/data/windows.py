"""Cut sentences that are longer than a model takes into windows that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Window:
    """Words ``start`` to ``end`` (exclusive) go in; of them those from ``first`` to ``last`` (exclusive) are told."""

    start: int
    end: int
    first: int
    last: int


def windows(lengths: Sequence[int], *, capacity: int, stride: int) -> list[Window]:
    """Windows over words of so many pieces each; every word is told in one, where it has the most context.

    Args:
        lengths: pieces of each word, from 1 to ``capacity``.
        capacity: pieces that a window takes.
        stride: most pieces that a window repeats of the one before it, below ``capacity``.
    """
    bounds = [(0, _reach(lengths, 0, capacity))]
    while (end := bounds[-1][1]) < len(lengths):
        room = min(stride, capacity - lengths[end])  # so that the next window gets at least one word further
        start = end
        while start and (room := room - lengths[start - 1]) >= 0:
            start -= 1
        bounds.append((start, _reach(lengths, start, capacity)))
    cuts = [(start + end + 1) // 2 for (_, end), (start, _) in pairwise(bounds)]
    told = zip([0, *cuts], [*cuts, len(lengths)], strict=True)
    return [Window(*bound, *part) for bound, part in zip(bounds, told, strict=True)]


def _reach(lengths: Sequence[int], start: int, capacity: int) -> int:
    """The first word that finds no room in a window from ``start`` on."""
    end = start
    while end < len(lengths) and (capacity := capacity - lengths[end]) >= 0:
        end += 1
    return end
