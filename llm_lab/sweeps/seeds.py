"""Rows that differ in their seed only, averaged, with the interval of the mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from llm_lab.sweeps.rows import Row
from llm_lab.sweeps.values import SEED

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean of ``n`` figures and half the width of its 95 % t-interval, None for a single one."""

    value: float
    half: float | None
    n: int

    @property
    def low(self) -> float | None:
        """Lower end of the interval."""
        return None if self.half is None else self.value - self.half

    @property
    def high(self) -> float | None:
        """Upper end of the interval."""
        return None if self.half is None else self.value + self.half


@dataclass(frozen=True, kw_only=True)
class Group:
    """The jobs of one setting.

    Attributes:
        values: of the swept keys, without the seed.
        rows: its jobs, best first.
        means: of each metric, over the jobs that finished.
    """

    values: Mapping[str, Any]
    rows: tuple[Row, ...]
    means: Mapping[str, Mean]

    @property
    def measured(self) -> int:
        """How many of its jobs have all the figures."""
        return sum(row.measured for row in self.rows)


def mean(values: Sequence[float]) -> Mean:
    """Average figures; the interval is Student's, which takes them for draws from one normal distribution."""
    count = len(values)
    if count == 1:
        return Mean(value=values[0], half=None, n=1)
    from scipy.special import stdtrit  # half a second that most sweeps need not pay after each job

    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * stdev(values) / math.sqrt(count)
    return Mean(value=fmean(values), half=half, n=count)


def groups(rows: Iterable[Row], metrics: Iterable[str], objectives: Sequence[str]) -> list[Group]:
    """Put the jobs of a setting together; in the order of the rows."""
    together: dict[str, list[Row]] = {}
    for row in rows:
        together.setdefault(repr(_setting(row)), []).append(row)
    names = [*objectives, *metrics]
    return [
        Group(values=_setting(members[0]), rows=tuple(members), means=_means(members, names, objectives))
        for members in together.values()
    ]


def _setting(row: Row) -> dict[str, Any]:
    return {key: value for key, value in row.values.items() if key != SEED}


def _means(members: Iterable[Row], names: Iterable[str], objectives: Sequence[str]) -> dict[str, Mean]:
    finished = [
        {**dict(zip(objectives, row.figures, strict=True)), **row.metrics} for row in members if row.measured
    ]
    columns = {name: [one[name] for one in finished if name in one] for name in names}
    return {name: mean(column) for name, column in columns.items() if column}
