"""Which of several goals' figures are beaten in none by another's: the Pareto front, and those behind it."""

from __future__ import annotations

from collections.abc import Sequence

Point = Sequence[float]


def gains(values: Point, directions: Sequence[str]) -> tuple[float, ...]:
    """The figures turned so that more is better."""
    return tuple(
        value if way == "maximize" else -value for value, way in zip(values, directions, strict=True)
    )


def dominates(one: Point, other: Point) -> bool:
    """Whether gains are nowhere less, and somewhere more."""
    return one != other and all(ours >= theirs for ours, theirs in zip(one, other, strict=True))


def fronts(points: Sequence[Point], directions: Sequence[str]) -> list[int]:
    """Number each point's front: 1 is beaten by none, 2 only by points of 1, and so on.

    Non-dominated sorting as in NSGA-II, https://doi.org/10.1109/4235.996017.
    """
    turned = [gains(point, directions) for point in points]
    # Best first in the first goal: only a point that comes earlier can dominate one that comes later.
    found: list[list[tuple[float, ...]]] = []
    numbers: dict[tuple[float, ...], int] = {}
    for point in sorted(set(turned), reverse=True):
        number = next(
            (place for place, front in enumerate(found) if not any(dominates(one, point) for one in front)),
            len(found),
        )
        if number == len(found):
            found.append([])
        found[number].append(point)
        numbers[point] = number + 1
    return [numbers[point] for point in turned]
