"""Parallel coordinates: a line per job through its values to its figures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve

from llm_lab.sweeps.html_marks import Marks
from llm_lab.sweeps.rows import PRUNED, Row
from llm_lab.sweeps.scale import Scale, figures, scale
from llm_lab.sweeps.table import Table
from llm_lab.tracking import plots
from llm_lab.tracking.formats import one_line

MOST_AXES = 10
MANY = 8  # values from which on lines part by themselves
SPREAD = 0.032  # lines through one value part by so much, so that none hides another
BEND = 0.42


def parallel(table: Table, marks: Marks, keys: Sequence[str]) -> Markup:
    """Draw the finished jobs, and faintly those that were pruned; what is better stands higher.

    Args:
        table: the sweep.
        marks: of its jobs.
        keys: the axes, at most `MOST_AXES` of them.
    """
    shown = [
        row for row in table.rows if row.measured or (row.state == PRUNED and None not in row.objectives)
    ]
    if not shown or not keys:
        return Markup()
    return marks.finish(_draw(table, marks, keys[:MOST_AXES], shown))


@plots.styled
def _draw(table: Table, marks: Marks, keys: Sequence[str], shown: Sequence[Row]) -> str:
    goals = [name == "maximize" for name in table.directions]
    scales = [scale([row.values.get(key) for row in shown]) for key in keys]
    ends = [
        figures([row.figures[place] for row in shown], maximize=maximize)
        for place, maximize in enumerate(goals)
    ]
    figure, axes = plots.new_figure(10.1, 4.0)
    axes.set_axis_off()
    axes.set(xlim=(-0.12, len(scales) + len(ends) - 0.78), ylim=(-0.06, 1.17))
    for place, (name, axis) in enumerate(zip((*keys, *table.names), (*scales, *ends), strict=True)):
        flipped = place >= len(keys) and not goals[place - len(keys)]
        _axis(axes, place, name, axis, flipped=flipped, goal=place >= len(keys))
    columns = [
        [axis.place(row.values.get(key)) for row in shown] for key, axis in zip(keys, scales, strict=True)
    ]
    spread = [_spread(column) for column in columns]
    for number, row in reversed(list(enumerate(shown))):
        places = [column[number] for column in spread]
        places += [
            _up(axis.place(value), maximize)
            for axis, value, maximize in zip(ends, row.figures, goals, strict=True)
        ]
        axes.add_patch(_line(places, row, marks))
    return plots.to_svg(figure, "parallel")


def _spread(column: Sequence[float]) -> list[float]:
    """Part the lines of jobs that share one of a few values."""
    distinct = len(set(column))
    if distinct == len(column) or distinct > MANY:
        return list(column)
    offsets = np.linspace(-SPREAD, SPREAD, len(column))
    return [place + float(offset) for place, offset in zip(column, offsets, strict=True)]


def _up(place: float, maximize: bool) -> float:  # noqa: FBT001 - which way is up
    return place if maximize else 1 - place


def _line(places: Sequence[float], row: Row, marks: Marks) -> PathPatch:
    points, codes = [(0.0, places[0])], [Curve.MOVETO]
    for number, (start, end) in enumerate(pairwise(places)):
        points += [(number + BEND, start), (number + 1 - BEND, end), (number + 1.0, end)]
        codes += [Curve.CURVE4] * 3
    pruned = row.state == PRUNED
    return PathPatch(
        Curve(points, codes),
        facecolor="none",
        edgecolor=plots.SOFT if pruned else marks.colour(row),
        alpha=0.28 if pruned else None,
        linestyle=(0, (3, 3)) if pruned else "-",
        linewidth=2.6 if row is marks.table.rows[0] else 0.9 if pruned else 1.4,
        gid=marks.gid(row),
        capstyle="round",
    )


def _axis(axes: Axes, place: int, name: str, axis: Scale, *, flipped: bool, goal: bool) -> None:
    axes.vlines(place, 0, 1, color=plots.SOFT, linewidth=1.0, alpha=0.7)
    weight = "bold" if goal else "normal"
    title = one_line(name if len(name) <= 22 else name.rpartition(".")[2], 22)  # noqa: PLR2004 - what fits
    axes.text(place, 1.1, title, ha="center", va="bottom", fontsize=9, color=plots.INK, weight=weight)
    for tick, label in axis.ticks:
        height = 1 - tick if flipped else tick
        axes.plot([place - 0.012, place + 0.012], [height, height], color=plots.SOFT, linewidth=1)
        axes.text(place + 0.03, height, label, fontsize=8, va="center", color=plots.SOFT)
