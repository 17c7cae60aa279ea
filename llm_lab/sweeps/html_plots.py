"""The other plots of a sweep's page: curves, slices, cost and quality, goals, seeds, the best so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from llm_lab.sweeps.html_marks import Marks
from llm_lab.sweeps.pareto import fronts
from llm_lab.sweeps.rows import FAILED, PRUNED, Row
from llm_lab.sweeps.scale import FEW, WIDE, figures, scale
from llm_lab.sweeps.seeds import Group
from llm_lab.sweeps.terminal import settings, short_names
from llm_lab.tracking import plots
from llm_lab.tracking.formats import one_line

Curves = Mapping[str, Sequence[plots.Point]]  # of each job, by its directory
MOST_POINTS = 60  # of a curve, where there are many
MOST_SLICES, SLICES_A_ROW, MOST_SEEDS = 8, 4, 24
ROOM = 0.28  # of an axis, for a label
FADED = {PRUNED: (plots.SOFT, (0, (3, 2))), FAILED: (plots.FOURTH, (0, (1, 1.5)))}


def curves(marks: Marks, name: str, by_job: Curves, direction: str, *, wide: bool) -> Markup:
    """Draw the learning curves of all jobs; pruned ones faintly, with a stroke where they ended."""
    return marks.finish(_curves(marks, name, by_job, direction, wide=wide)) if by_job else Markup()


@plots.styled
def _curves(marks: Marks, name: str, by_job: Curves, direction: str, *, wide: bool) -> str:
    figure, axes = plots.new_figure(10.1 if wide else 5.0, 3.9 if wide else 3.4)
    for row in reversed(marks.table.rows):
        points = by_job.get(row.directory, ())
        if not points:
            continue
        thinned = [*points[: -1 : 1 + len(points) // MOST_POINTS], points[-1]]
        steps, values = np.asarray(thinned, dtype=float).T
        if row.measured:
            best = row is marks.table.rows[0]
            look = {"color": marks.colour(row), "linewidth": 2.8 if best else 1.3}
        else:
            colour, dashes = FADED.get(row.state, (plots.SOFT, "-"))
            look = {"color": colour, "linewidth": 1.0, "alpha": 0.45, "linestyle": dashes, "markevery": [-1]}
            look |= {"marker": "|", "markersize": 7}
        look |= {"marker": "o", "markersize": 3.5} if len(points) == 1 else {}
        axes.plot(steps, values, gid=marks.gid(row), **look)  # type: ignore[arg-type]
    axes.set(title=plots.metric_label(name), xlabel="step")
    _limit(axes, [value for points in by_job.values() for _, value in points], direction)
    return plots.to_svg(figure, f"curves {name}")


def slices(marks: Marks, keys: Sequence[str]) -> Markup:
    """Draw the first figure over each key, with the mean where few values were tried."""
    rows = marks.table.measured
    return marks.finish(_slices(marks, keys[:MOST_SLICES], rows)) if rows and keys else Markup()


@plots.styled
def _slices(marks: Marks, keys: Sequence[str], rows: Sequence[Row]) -> str:
    columns = min(SLICES_A_ROW, len(keys))
    lines = -(-len(keys) // columns)
    figure = Figure(figsize=(10.1 if columns > 1 else 5.0, 2.7 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).flatten()
    values = [row.figures[0] for row in rows]
    for axes, key in zip(panels, keys, strict=False):
        axis = scale([row.values.get(key) for row in rows])
        places = [axis.place(row.values.get(key)) for row in rows]
        for row, x, y in reversed(list(zip(rows, places, values, strict=True))):
            marks.dot(axes, row, x, y, size=5.5)
        distinct = sorted(set(places))
        if 1 < len(distinct) <= FEW and len(rows) >= 2 * len(distinct):
            means = [
                np.mean([y for x, y in zip(places, values, strict=True) if x == place]) for place in distinct
            ]
            axes.plot(distinct, means, color=plots.SOFT, linewidth=1.3, linestyle=(0, (4, 3)), zorder=1)
        axes.set(title=one_line(key, 30), xlim=(-0.12, 1.12))
        ticks = _apart(axis.ticks)
        axes.set_xticks([tick for tick, _ in ticks], [label for _, label in ticks], fontsize=8)
        _limit(axes, values, marks.table.directions[0])
    for axes in panels[len(keys) :]:
        axes.set_visible(False)
    panels[0].set_ylabel(plots.metric_label(marks.table.names[0]))
    return plots.to_svg(figure, "slices")


def _apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Leave out ticks whose labels would touch."""
    kept: list[tuple[float, str]] = []
    for tick in sorted(ticks):
        if not kept or tick[0] - kept[-1][0] >= ROOM:
            kept.append(tick)
    return kept


def against(
    marks: Marks,
    title: str,
    label: str,
    of: Callable[[Row], float | None],
    *,
    goal: int = 0,
    other: str = "minimize",
) -> Markup:
    """Draw the figures over something else that a job has, with the Pareto front of both.

    Args:
        marks: of the jobs.
        title: of the plot.
        label: of the horizontal axis.
        of: a job's place on it.
        goal: which figure stands on the vertical one.
        other: whether less or more of the horizontal one is better.
    """
    known = [(row, x) for row in marks.table.measured if (x := of(row)) is not None]
    return marks.finish(_against(marks, title, label, known, goal, other)) if known else Markup()


@plots.styled
def _against(
    marks: Marks, title: str, label: str, known: Sequence[tuple[Row, float]], goal: int, other: str
) -> str:
    figure, axes = plots.new_figure(5.0, 3.5)
    points = [(x, row.figures[goal]) for row, x in known]
    ways = (other, marks.table.directions[goal])
    front = sorted(point for point, number in zip(points, fronts(points, ways), strict=True) if number == 1)
    where: Literal["post", "pre"] = "post" if other == "minimize" else "pre"
    axes.step(*np.asarray(front).T, where=where, color=plots.THIRD, linewidth=1.6, zorder=1)
    for (row, x), (_, y) in reversed(list(zip(known, points, strict=True))):
        marks.dot(axes, row, x, y)
    axes.plot(
        *np.asarray(front).T,
        "o",
        markersize=10,
        markerfacecolor="none",
        markeredgecolor=plots.THIRD,
        zorder=3,
    )
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    if low > 0 and high / low > WIDE:
        axes.set_xscale("log")
    axes.set(title=title, xlabel=label, ylabel=plots.metric_label(marks.table.names[goal]))
    _limit(axes, [y for _, y in points], marks.table.directions[goal])
    return plots.to_svg(figure, title)


def progress(marks: Marks) -> Markup:
    """Draw the first figure over the jobs in their order, with the best until then."""
    rows = sorted(marks.table.measured, key=lambda row: row.number)
    return marks.finish(_progress(marks, rows)) if len(rows) > 1 else Markup()


@plots.styled
def _progress(marks: Marks, rows: Sequence[Row]) -> str:
    figure, axes = plots.new_figure(10.1, 3.0)
    values = np.asarray([row.figures[0] for row in rows])
    best = np.maximum if marks.table.directions[0] == "maximize" else np.minimum
    numbers = [row.number + 1 for row in rows]
    axes.step(numbers, best.accumulate(values), where="post", color=plots.THIRD, linewidth=1.6, zorder=1)
    for row, number, value in zip(rows, numbers, values, strict=True):
        marks.dot(axes, row, number, float(value))
    axes.set(title="Best so far", xlabel="job", ylabel=plots.metric_label(marks.table.names[0]))
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    _limit(axes, values.tolist(), marks.table.directions[0])
    return plots.to_svg(figure, "progress")


def seed_intervals(marks: Marks, groups: Sequence[Group]) -> Markup:
    """Draw each setting's seeds, their mean and its interval; the best at the top."""
    known = [group for group in groups if marks.table.names[0] in group.means][:MOST_SEEDS]
    return marks.finish(_seed_intervals(marks, known)) if known else Markup()


@plots.styled
def _seed_intervals(marks: Marks, groups: Sequence[Group]) -> str:
    figure, axes = plots.new_figure(10.1, 1.0 + 0.34 * len(groups))
    name = marks.table.names[0]
    for place, group in enumerate(groups):
        one, height = group.means[name], len(groups) - place
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [height, height], color=plots.ACCENT, linewidth=5, alpha=0.25)
        axes.plot([one.value], [height], marker="D", markersize=6, color=plots.ACCENT)
        for row in group.rows:
            if row.measured:
                marks.dot(axes, row, row.figures[0], height, size=4.5)
    names = dict(zip(marks.table.keys, short_names(marks.table.keys), strict=True))
    short = [{names[key]: value for key, value in group.values.items()} for group in groups]
    texts = [one_line(" ".join(settings(values)), 70) for values in short]
    axes.set_yticks(range(len(groups), 0, -1), texts, fontsize=8)
    axes.grid(visible=False, axis="y")
    axes.set(xlabel=plots.metric_label(name), ylim=(0.4, len(groups) + 0.6))
    return plots.to_svg(figure, "seeds")


def _limit(axes: Axes, values: Sequence[float], direction: str) -> None:
    """Cut off what lies far out on the bad side, as a diverged job's loss does."""
    near = figures(values, maximize=direction == "maximize")
    if near.low > min(values) or near.high < max(values):
        room = 0.06 * (near.high - near.low)
        axes.set_ylim(near.low - room, near.high + room)
