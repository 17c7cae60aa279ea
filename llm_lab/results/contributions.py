"""What each input of a model contributes, from runs that had all subsets of the inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

from llm_lab.results.difference import intervals
from llm_lab.results.rows import Parts, ratio

Subset = frozenset[str]
Weights = dict[Subset, float]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its 95 % bootstrap interval over the test rows, and over seeds where there are several."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one input does for a metric; None where a run that it takes is not there.

    Attributes:
        name: of the input.
        alone: the metric with nothing but it.
        lost: the metric with all inputs, less that without it.
        shapley: its Shapley value (Shapley 1953, A Value for n-Person Games): the mean of what it adds to the inputs
            before it over all orders in which inputs could be added. The values of all inputs add up to the metric
            with all of them, less that with none.
    """

    name: str
    alone: Estimate | None
    lost: Estimate | None
    shapley: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One metric over the subsets of the inputs.

    Attributes:
        metric: its name.
        nothing: what it is without any input, by the majority baseline; None where nobody measured that.
        subsets: its figure with each subset, the largest first.
        contributions: of each input.
    """

    metric: str
    nothing: float | None
    subsets: Mapping[Subset, Estimate]
    contributions: Sequence[Contribution]


def ablation(
    metric: str, runs: Mapping[Subset, Sequence[Parts]], *, nothing: float | None = None
) -> Ablation:
    """What each input contributes to a metric.

    Args:
        metric: its name.
        runs: parts [N, 2] by seed of the runs with each subset: the same rows and as many seeds everywhere.
        nothing: the metric without any input; taken as known, and as 0 where it is None.
    """
    known = sorted(runs, key=lambda some: (-len(some), sorted(some)))
    names = sorted(frozenset().union(*known))
    wanted: dict[tuple[str, str], Weights] = {
        ("subset", str(place)): {one: 1.0} for place, one in enumerate(known)
    }
    for name in names:
        wanted |= {(kind, name): weights for kind, weights in _contrasts(name, names).items()}
    offsets = {key: weights.pop(frozenset(), 0.0) * (nothing or 0.0) for key, weights in wanted.items()}
    wanted = {key: weights for key, weights in wanted.items() if weights.keys() <= runs.keys()}
    found = dict(zip(wanted, _estimates(runs, known, wanted.values()), strict=True))
    found = {key: _moved(one, offsets[key]) for key, one in found.items()}
    return Ablation(
        metric=metric,
        nothing=nothing,
        subsets={one: found["subset", str(place)] for place, one in enumerate(known)},
        contributions=[
            Contribution(
                name=name, **{kind: found.get((kind, name)) for kind in ("alone", "lost", "shapley")}
            )
            for name in names
        ],
    )


def _contrasts(name: str, names: Sequence[str]) -> dict[str, Weights]:
    """The weights of the subsets in each figure of one input; that of the empty one is among them."""
    everything, own = frozenset(names), frozenset({name})
    contrasts: dict[str, Weights] = {"alone": {own: 1.0}}
    if everything != own:
        contrasts["lost"] = {everything: 1.0, everything - own: -1.0}
    return contrasts | {"shapley": shapley_weights(name, names)}


def shapley_weights(name: str, names: Sequence[str]) -> Weights:
    """The weight of each subset of ``names``, the empty one among them, in the Shapley value of one of them."""
    count, weights = len(names), Weights()
    for some in _subsets([other for other in names if other != name]):
        share = factorial(len(some)) * factorial(count - len(some) - 1) / factorial(count)
        weights |= {some: -share, some | {name}: share}
    return weights


def _subsets(names: Sequence[str]) -> Iterable[Subset]:
    for bits in range(1 << len(names)):
        yield frozenset(name for place, name in enumerate(names) if bits >> place & 1)


def _estimates(
    runs: Mapping[Subset, Sequence[Parts]], known: Sequence[Subset], wanted: Iterable[Weights]
) -> list[Estimate]:
    """Sums of the metrics of runs by their weights; the same rows are drawn for all of them."""
    weights: NDArray[np.float64] = np.array([[one.get(some, 0.0) for some in known] for one in wanted])
    values = weights @ [np.mean([ratio(parts) for parts in runs[some]]) for some in known]
    ends = intervals([runs[some] for some in known], weights)
    return [
        Estimate(value=float(value), low=low, high=high)
        for value, (low, high) in zip(values, ends, strict=True)
    ]


def _moved(one: Estimate, by: float) -> Estimate:
    return Estimate(value=one.value + by, low=one.low + by, high=one.high + by)
