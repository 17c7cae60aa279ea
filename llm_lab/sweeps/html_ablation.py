"""The picture of an ablation: what each input contributes, and the metric of every subset of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from llm_lab.results.contributions import Ablation, Contribution, Estimate
from llm_lab.sweeps.ablation import weight
from llm_lab.tracking import plots
from llm_lab.tracking.formats import metric_name, one_line

NAME = 22  # characters of an input's name
MOST_PANELS = 3


def pictures(found: Sequence[Ablation]) -> list[Markup]:
    """Draw each metric of rows, and those of directions together, a picture for each name that these end in."""
    ways: dict[str, list[Ablation]] = {}
    for one in found:
        if "/" in one.metric:
            ways.setdefault(one.metric.rpartition("/")[2], []).append(one)
    drawn = [_picture(one) for one in found if "/" not in one.metric]
    drawn += [_directions(name, some) for name, some in ways.items()]
    svgs = (re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL) for svg in drawn[:MOST_PANELS])
    return [Markup(svg) for svg in svgs]  # noqa: S704 - drawn by us


@plots.styled
def _directions(metric: str, found: Sequence[Ablation]) -> str:
    """What each direction loses without each input that it does not go between."""
    lines = [
        (one.metric.rpartition("/")[0].replace("_to_", " to "), each.name, each.lost)
        for one in found
        for each in one.contributions
        if each.lost
    ]
    figure = Figure(figsize=(10.1, 1.4 + 0.34 * len(lines)), layout="constrained")
    axes = figure.subplots()
    known, places = [lost for _, _, lost in lines], range(len(lines))
    values = [lost.value for lost in known]
    axes.errorbar(values, places, xerr=_ends(known), fmt="o", color=plots.ACCENT, ecolor=plots.SOFT)
    axes.axvline(0, color=plots.SOFT, linewidth=0.8)
    axes.set_yticks(places, [one_line(f"{way}, without {name}", 3 * NAME) for way, name, _ in lines])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(
        title="What each direction loses without a further input", xlabel=f"{metric_name(metric)}, difference"
    )
    return plots.to_svg(figure, f"ablation {metric}")


@plots.styled
def _picture(one: Ablation) -> str:
    """Draw contributions beside all subsets, with marks of their inputs as in an UpSet plot (Lex et al. 2014)."""
    ordered = sorted(one.contributions, key=lambda each: weight(each.shapley or each.lost))
    figure = Figure(figsize=(10.1, 3.2 + 0.3 * len(ordered)), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    _contributions(halves[0].subplots(), one, ordered)
    above, below = halves[1].subplots(2, 1, sharex=True, height_ratios=(2.4, 0.5 + 0.3 * len(ordered)))
    _subsets(above, one)
    _members(below, one, ordered)
    return plots.to_svg(figure, f"ablation {one.metric}")


def _contributions(axes: Axes, one: Ablation, ordered: Sequence[Contribution]) -> None:
    kinds = (("Shapley value", plots.ACCENT, 0.18), ("lost without it", plots.SECOND, -0.18))
    for label, colour, shift in kinds:
        found = [each.shapley if colour == plots.ACCENT else each.lost for each in ordered]
        places = [place + shift for place, estimate in enumerate(found) if estimate]
        known = [estimate for estimate in found if estimate]
        axes.barh(places, [each.value for each in known], height=0.32, color=colour, alpha=0.75, label=label)
        axes.errorbar(
            [each.value for each in known],
            places,
            xerr=_ends(known),
            fmt="none",
            ecolor=plots.SOFT,
            elinewidth=1.2,
        )
    axes.axvline(0, color=plots.SOFT, linewidth=0.8)
    axes.set_yticks(range(len(ordered)), [one_line(each.name, NAME) for each in ordered])
    axes.grid(visible=False, axis="y")
    axes.set(
        title=f"What each input contributes to {metric_name(one.metric)}",
        xlabel=f"{metric_name(one.metric)}, difference",
    )
    axes.figure.legend(loc="outside lower center", ncols=2)


def _subsets(axes: Axes, one: Ablation) -> None:
    found = list(one.subsets.values())
    places = range(len(found))
    axes.errorbar(
        places,
        [each.value for each in found],
        yerr=_ends(found),
        fmt="o",
        markersize=6,
        color=plots.ACCENT,
        ecolor=plots.SOFT,
        elinewidth=1.2,
    )
    if one.nothing is not None:
        axes.axhline(one.nothing, color=plots.SOFT, linestyle=(0, (4, 4)), linewidth=1.2)
        axes.annotate(
            "none of them", (-0.55, one.nothing), ha="left", va="bottom", fontsize=8, color=plots.SOFT
        )
    axes.set(title="With each subset of the inputs", ylabel=metric_name(one.metric))
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.grid(visible=False, axis="x")


def _members(axes: Axes, one: Ablation, ordered: Sequence[Contribution]) -> None:
    for x, some in enumerate(one.subsets):
        heights = [y for y, each in enumerate(ordered) if each.name in some]
        axes.plot([x] * len(ordered), range(len(ordered)), "o", markersize=5, color=plots.LINE)
        axes.plot([x] * len(heights), heights, "o-", markersize=6, linewidth=1.6, color=plots.ACCENT)
    axes.set_yticks(range(len(ordered)), [one_line(each.name, NAME) for each in ordered], fontsize=8.5)
    axes.set(ylim=(-0.6, len(ordered) - 0.4), xlim=(-0.6, len(one.subsets) - 0.4))
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _ends(found: Sequence[Estimate]) -> list[list[float]]:
    """Distances of the ends of the intervals, as matplotlib wants them."""
    return [
        [max(0.0, one.value - one.low) for one in found],
        [max(0.0, one.high - one.value) for one in found],
    ]
