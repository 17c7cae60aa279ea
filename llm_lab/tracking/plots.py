"""The report's plots as SVG that takes its ink and its fonts from the page: light or dark, in any script."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure

from llm_lab.tracking.formats import metric_name, one_line
from llm_lab.tracking.scores import Array, Bin

INK, SOFT, LINE = "#010203", "#040506", "#070809"  # stand for CSS variables of the page
ACCENT, SECOND, THIRD, FOURTH = "#4c78d8", "#d98032", "#2f9e78", "#9a62c7"
CYCLE = (ACCENT, SECOND, THIRD, FOURTH, "#c75b7a", "#7a8794")
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "llm_lab",
    "savefig.transparent": True,
    "text.parse_math": False,
    "font.size": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=CYCLE),
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": SOFT,
    "lines.linewidth": 1.8,
}
FEW = 4  # classes up to which names fit side by side
MANY = 20  # classes from which on a confusion matrix has no numbers in its cells
LONG = 40  # points from which on a curve is also drawn smoothed
NAME = 26  # characters of a class name on an axis

CROWD = 120  # classes from which on a confusion matrix has no names at its axes
MOST_POINTS, MOST_LABELS = 1000, 40  # of a curve, of a bar chart
Point = tuple[float, float]
Args = ParamSpec("Args")


def styled(draw: Callable[Args, str]) -> Callable[Args, str]:
    """Draw in the report's style: matplotlib looks it up when a text or a legend is made."""

    @wraps(draw)
    def drawn(*args: Args.args, **kwargs: Args.kwargs) -> str:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


@styled
def curves(title: str, series: Mapping[str, Sequence[Point]]) -> str:
    """Plot named (step, value) curves; a long one faintly, with its running mean on top."""
    figure, axes = new_figure(3.7, 3.0)
    for name, points in series.items():
        steps, values = np.asarray(points[:: 1 + len(points) // MOST_POINTS], dtype=float).T
        (drawn,) = axes.plot(steps, values, marker="" if len(points) > MANY else "o", markersize=4)
        if len(points) > LONG:
            drawn.set(alpha=0.3, linewidth=1)
            (drawn,) = axes.plot(_smooth(steps), _smooth(values), color=drawn.get_color())
        drawn.set_label(_name(name))
    axes.set(title=title, xlabel="step")
    axes.ticklabel_format(axis="y", scilimits=(-3, 4))
    figure.legend(loc="outside lower center", ncols=2)  # below, where it hides nothing
    return to_svg(figure, title)


@styled
def confusion(counts: Array, names: Sequence[str]) -> str:
    """Plot shares of each actual class, right ones blue and wrong ones orange; counts where there is room."""
    many = len(names) > MANY
    cell = 0.125 if many else min(1.1, max(0.42, 3.5 / len(names)))
    figure, axes = new_figure(2.2 + cell * len(names), 1.8 + cell * len(names))
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    diagonal = np.eye(len(names), dtype=bool)
    for colour, shown in ((ACCENT, diagonal), (SECOND, ~diagonal)):
        part = np.ma.masked_where(~shown, shares)
        axes.imshow(part, cmap=_fading(colour), norm=PowerNorm(0.5, vmin=0, vmax=1), interpolation="nearest")
    _name_classes(axes, names)
    axes.set(xlabel="predicted", ylabel="actual")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if not many:
        _write_cells(axes, counts, shares, 8.0 if len(names) > 2 * FEW else 11.0)
    return to_svg(figure, "confusion")


@styled
def reliability(bins: Sequence[Bin]) -> str:
    """Plot accuracy over confidence, with the number of rows in each bin below."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    confident, accurate = [one.confidence for one in bins], [one.accuracy for one in bins]
    low = min(0.5, *(np.floor(10 * value) / 10 for value in (*confident, *accurate)))
    above.plot([low, 1], [low, 1], color=SOFT, linestyle=(0, (4, 4)), linewidth=1.2, label="perfect")
    above.vlines(confident, confident, accurate, color=SECOND, linewidth=1.4, alpha=0.8, label="gap")
    above.plot(confident, accurate, color=ACCENT, marker="o", markersize=5, label="model")
    above.set(ylabel="share right", ylim=(low - 0.02, 1.02))
    above.legend(loc="best")
    below.bar(confident, [one.count for one in bins], width=(1 - low) / 24, color=ACCENT, alpha=0.7)
    below.set(xlabel="confidence", ylabel="rows", xlim=(low - 0.02, 1.02))
    return to_svg(figure, "reliability")


@styled
def scatter(predicted: Array, actual: Array) -> str:
    """Plot predicted over actual numbers, with the diagonal."""
    figure, axes = new_figure(4.4, 4.2)
    axes.scatter(
        actual, predicted, s=9, alpha=0.4, linewidths=0, color=ACCENT, rasterized=len(actual) > MANY * MANY
    )
    ends = [float(min(actual.min(), predicted.min())), float(max(actual.max(), predicted.max()))]
    axes.plot(ends, ends, color=SOFT, linestyle=(0, (4, 4)), linewidth=1.2)
    axes.set(xlabel="actual", ylabel="predicted", title="Predicted and actual values")
    return to_svg(figure, "scatter")


@styled
def errors(predicted: Array, actual: Array) -> str:
    """Plot how the errors are spread."""
    figure, axes = new_figure(4.4, 4.2)
    axes.hist(predicted - actual, bins=40, color=ACCENT, alpha=0.8)
    axes.axvline(0, color=SOFT, linestyle=(0, (4, 4)), linewidth=1.2)
    axes.set(xlabel="predicted − actual", ylabel="rows", title="Errors")
    return to_svg(figure, "errors")


@styled
def label_scores(names: Sequence[str], values: Sequence[float]) -> str:
    """Plot F1 by label, the worst at the bottom; of very many only the worst."""
    order = np.argsort(values)[:MOST_LABELS]
    figure, axes = new_figure(6.4, 0.9 + 0.26 * len(names))
    axes.barh(range(len(order)), [values[place] for place in order], color=ACCENT, alpha=0.8, height=0.7)
    axes.set_yticks(range(len(order)), [_name(names[place]) for place in order], fontsize=8.5)
    axes.set(xlim=(0, 1), ylim=(-0.6, len(order) - 0.4), xlabel="F1")
    axes.grid(visible=False, axis="y")
    return to_svg(figure, "labels")


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty plot, sizes in inches; to be drawn in by a function that is `styled`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def to_svg(figure: Figure, name: str) -> str:
    """Render; drop the XML head, make ids unique on the page, put the page's colours and fonts in."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the page's fonts draw them
        figure.savefig(stream, format="svg", dpi=150, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    slug = re.sub(r"\W+", "-", name.lower())
    return re.sub(r"<[^>]*>", lambda tag: _page_style(tag[0], slug), text[text.index("<svg") :])


def _page_style(tag: str, slug: str) -> str:
    """Rewrite one tag; texts stand between tags and are never touched."""
    for colour, variable in ((INK, "--ink"), (SOFT, "--soft"), (LINE, "--line")):
        tag = tag.replace(colour, f"var({variable})")
    tag = re.sub(r"""\bfont: ([\d.]+)px [^;"]*""", r"font-size: \1px", tag)
    tag = re.sub(r'\bid="', f'id="{slug}-', tag)
    return re.sub(r'(url\(|href=")#', rf"\1#{slug}-", tag)


def _fading(colour: str) -> LinearSegmentedColormap:
    red, green, blue = mpl.colors.to_rgb(colour)
    return LinearSegmentedColormap.from_list("fading", [(red, green, blue, 0.04), (red, green, blue, 1.0)])


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    places, labels = range(len(names)), [_name(name) for name in names]
    if len(names) > CROWD:
        places, labels = range(0), []
    points = 6.0 if len(names) > MANY else 9.0
    axes.set_xticks(places, labels, rotation=90 if len(names) > FEW else 0, fontsize=points)
    axes.set_yticks(places, labels, fontsize=points)


def _write_cells(axes: Axes, counts: Array, shares: Array, points: float) -> None:
    for (row, column), count in np.ndenumerate(counts):
        colour = "#ffffff" if shares[row, column] > 0.4 else INK  # noqa: PLR2004 - readable on either
        axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=points)


def _smooth(values: Array) -> Array:
    width = max(3, len(values) // 25)
    return np.convolve(values, np.ones(width) / width, "valid")


def _name(text: str) -> str:
    return one_line(text if text.startswith("lr-") else metric_label(text), NAME)


def metric_label(text: str) -> str:
    """``val/f1`` -> ``F1``, with the split where it is not clear; class names stay as they are."""
    split, slash, _ = text.partition("/")
    return f"{metric_name(text)} ({split})" if slash and split in {"train", "val", "test"} else text
