"""The difference of two runs, or of several seeds of both, with its bootstrap interval over rows and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_lab.errors import RunError
from llm_lab.results.rows import Parts, ratio, read_rows

RESAMPLES = 9999
LEVEL = 0.95
DIGITS = 4
CELLS = 1 << 22  # numbers drawn at a time


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric of two runs, or its means over seeds, and how far the one is above the other.

    Attributes:
        metric: its name.
        ours: of the first.
        theirs: of the second.
        low: lower end of the 95 % interval of the difference.
        high: upper end.
    """

    metric: str
    ours: float
    theirs: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """The difference."""
        return self.ours - self.theirs

    @property
    def shown(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        """As it stands on the terminal."""
        ends = f"{self.low:+.{DIGITS}f} to {self.high:+.{DIGITS}f}"
        return f"{self.metric} {self.value:+.{DIGITS}f} ({ends}){'' if self.shown else ', none shown'}"


def flat_gaps(name: str, found: Sequence[Difference]) -> Iterator[tuple[str, float]]:
    """Yield ``difference/NAME/METRIC``, and the ends of its interval with ``_low`` and ``_high``."""
    for gap in found:
        key = f"difference/{name}/{gap.metric}"
        yield from ((key, gap.value), (f"{key}_low", gap.low), (f"{key}_high", gap.high))


def gap_rows(found: Sequence[Difference]) -> list[dict[str, Any]]:
    """A table of differences."""
    return [
        {
            "metric": gap.metric,
            "this run": gap.ours,
            "the other": gap.theirs,
            "difference": gap.value,
            "from": gap.low,
            "to": gap.high,
            "shown": "yes" if gap.shown else "no",
        }
        for gap in found
    ]


def interval(ours: Sequence[Parts], theirs: Sequence[Parts], *, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the difference of two metrics, see `intervals`.

    Args:
        ours: parts [N, 2] by seed.
        theirs: likewise, of the same rows and as many seeds.
        seed: of the draws.
    """
    return intervals([ours, theirs], np.array([[1.0, -1.0]]), seed=seed)[0]


def intervals(
    runs: Sequence[Sequence[Parts]], weights: NDArray[np.float64], *, seed: int = 0
) -> list[tuple[float, float]]:
    """The 95 % intervals of weighted sums of metrics by a paired bootstrap, percentile method.

    The same rows are drawn for all, and of several seeds the same seeds (Efron and Tibshirani 1993).

    Args:
        runs: parts [N, 2] by seed of each of A runs, of the same rows and as many seeds.
        weights: of the runs in each of C sums [C, A].
        seed: of the draws.
    """
    from scipy.stats import bootstrap  # a second that only a comparison pays

    parts = np.stack([np.stack(one) for one in runs])  # [A, S, N, 2]
    seeds, rows = parts.shape[1:3]
    rng = np.random.default_rng(seed)

    def statistic(index: NDArray[Any], axis: int = -1) -> NDArray[Any]:
        del axis  # always the last one
        sums = np.moveaxis(weights @ _values(parts, index), -2, 0)  # [C, ..., S]
        if index.ndim == 1 or seeds == 1:
            return np.asarray(sums.mean(axis=-1))
        drawn = rng.integers(seeds, size=sums.shape[1:])[None]
        return np.asarray(np.take_along_axis(sums, drawn, axis=-1).mean(axis=-1))

    found = bootstrap(
        (np.arange(rows),),
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, CELLS // rows),
        vectorized=True,
        confidence_level=LEVEL,
        method="percentile",
        rng=rng,
    ).confidence_interval
    return list(zip(np.atleast_1d(found.low).tolist(), np.atleast_1d(found.high).tolist(), strict=True))


def _values(parts: NDArray[Any], index: NDArray[Any]) -> NDArray[Any]:
    """Metrics [..., A, S] of parts [A, S, N, 2], over the rows that an index [..., N] draws."""
    rows = parts.shape[2]
    draws = index.reshape(-1, index.shape[-1])
    places = draws + rows * np.arange(len(draws))[:, None]
    times = np.bincount(places.ravel(), minlength=rows * len(draws)).reshape(len(draws), rows)
    sums = times @ np.moveaxis(parts, 2, 0).reshape(rows, -1)
    over, under = np.moveaxis(sums.reshape(*index.shape[:-1], *parts.shape[:2], 2), -1, 0)
    return np.asarray(over / np.where(under == 0, 1, under))


def differences(ours: Sequence[Path], theirs: Sequence[Path]) -> list[Difference]:
    """All metrics that two runs, or as many seeds of both, have kept by row.

    Raises:
        RunError: they were tested on other rows, or have no metric in common.
    """
    read = [[read_rows(run) for run in runs] for runs in (ours, theirs)]
    first = read[0][0][0]
    rows = {len(one) for one in read[0][0][1].values()}
    for run, (digest, found) in zip([*ours, *theirs], [*read[0], *read[1]], strict=True):
        if digest != first or {len(one) for one in found.values()} != rows:
            raise RunError(f"{run} and {ours[0]} were tested on other rows, so their difference says nothing")
    parts = [[kept for _, kept in some] for some in read]
    names = [name for name in parts[0][0] if all(name in kept for some in parts for kept in some)]
    if not names:
        raise RunError(f"{ours[0]} and {theirs[0]} have no metric by row in common")
    return [compared(name, *([kept[name] for kept in some] for some in parts)) for name in names]


def compared(metric: str, ours: Sequence[Parts], theirs: Sequence[Parts]) -> Difference:
    """One metric of as many seeds of both."""
    low, high = interval(ours, theirs)
    one, other = (float(np.mean([ratio(parts) for parts in some])) for some in (ours, theirs))
    return Difference(metric=metric, ours=one, theirs=other, low=low, high=high)
