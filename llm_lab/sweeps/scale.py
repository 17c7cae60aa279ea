"""Where a value stands on an axis of a plot: numbers evenly or by powers, everything else side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import LogLocator, MaxNLocator

from llm_lab.sweeps.terminal import value_text
from llm_lab.tracking.formats import one_line

FEW = 6  # values up to which each is a tick
CLOSE = 0.045  # share of the axis below which two ticks would touch
LABEL = 14  # characters of a tick
WIDE = 20  # ratio from which on numbers stand by their powers
FAR, ENOUGH = 5.0, 8  # interquartile ranges beyond which a figure is an outlier; figures that can tell


@dataclass(frozen=True, kw_only=True)
class Scale:
    """An axis from 0 to 1.

    Attributes:
        choices: texts side by side, in order; empty for numbers.
        low, high: ends of the numbers; beyond them a value stands at the end.
        powers: whether equal ratios take equal room.
        ticks: (place, label).
    """

    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    powers: bool = False
    ticks: tuple[tuple[float, str], ...] = ()

    def place(self, value: Any) -> float:
        """Where a value of the axis stands."""
        if self.choices:
            return _share(self.choices.index(value_text(value)), 0, len(self.choices) - 1)
        low, high, number = self.low, self.high, float(value)
        if self.powers:
            low, high, number = math.log(low), math.log(high), math.log(max(number, low))
        return min(1.0, max(0.0, _share(number, low, high)))


def scale(column: Sequence[Any]) -> Scale:
    """Make the axis of a swept key."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in column):
        return numbers([float(value) for value in column])
    names = tuple(sorted({value_text(value) for value in column}))
    step = 1 + len(names) // 12
    bare = Scale(choices=names)
    ticks = tuple(
        (_share(place, 0, len(names) - 1), one_line(names[place], LABEL))
        for place in range(0, len(names), step)
    )
    return Scale(choices=bare.choices, ticks=ticks)


def numbers(column: Sequence[float], *, low: float | None = None, high: float | None = None) -> Scale:
    """Make an axis of numbers between two ends, their own without them."""
    low = min(column) if low is None else low
    high = max(column) if high is None else high
    bare = Scale(low=low, high=high, powers=low > 0 and high / low >= WIDE)
    distinct = sorted(set(column))
    wanted = distinct if len(distinct) <= FEW else [low, *_round_numbers(bare), high]
    ticks: list[tuple[float, str]] = []
    for value in wanted:
        place = bare.place(value)
        if all(abs(place - other) > CLOSE for other, _ in ticks):
            ticks.append((place, f"{value:.4g}"))
    return Scale(low=low, high=high, powers=bare.powers, ticks=tuple(ticks))


def figures(column: Sequence[float], *, maximize: bool) -> Scale:
    """Make the axis of what jobs are compared by: diverged ones do not press the others together."""
    if len(column) < ENOUGH:
        return numbers(column)
    ordered = sorted(column)
    first, third = (ordered[round(share * (len(ordered) - 1))] for share in (0.25, 0.75))
    far = FAR * (third - first)
    if maximize:
        return numbers([value for value in column if value >= first - far])
    return numbers([value for value in column if value <= third + far])


def _round_numbers(axis: Scale) -> list[float]:
    inner = LogLocator(numticks=6) if axis.powers else MaxNLocator(5)
    found = [float(value) for value in inner.tick_values(axis.low, axis.high)]
    return [value for value in found if CLOSE * 1.5 < axis.place(value) < 1 - CLOSE * 1.5]


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if high <= low else (value - low) / (high - low)
