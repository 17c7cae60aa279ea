"""Maps of what a model looked at, drawn over pictures, spectrograms and waves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from llm_lab.tracking import plots
from llm_lab.tracking.formats import one_line

Array = NDArray[Any]
CAPTION = "blue spoke for what was told, orange against it (integrated gradients); orange names are mistakes"
NAME = 16  # characters of a label above a map
BLUR = 1 / 26  # of a picture's height: single pixels say little
STRONG = 99.5  # percentile of a map that is drawn in full colour


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A row with what a model made of it.

    Attributes:
        told: the label that it gave.
        sure: its probability.
        actual: the label of the data.
        values: tensors of the row by their names in a batch.
        maps: what each value of an input adds to the logit of ``told``, by input.
    """

    told: str
    sure: float
    actual: str
    values: Mapping[str, Array]
    maps: Mapping[str, Array]


def draw(name: str, facts: Mapping[str, Any], rows: Sequence[Looked]) -> Markup:
    """Draw an input of rows, and below each the same with what spoke for the told label in blue, against it in orange.

    Args:
        name: of the input.
        facts: of the input, see `llm_lab.data.multimodal.kind.Kind.facts`.
        rows: of which at least one.
    """
    return Markup(_draw(name, facts, rows))  # noqa: S704 - drawn by us, labels are texts of matplotlib


@plots.styled
def _draw(name: str, facts: Mapping[str, Any], rows: Sequence[Looked]) -> str:
    tall = 1.0 if facts["kind"] == "image" else 0.8
    figure = Figure(figsize=(1.68 * max(3, len(rows)), 2 * 1.6 * tall + 0.7), layout="constrained")
    panels = figure.subplots(2, len(rows), squeeze=False)
    for (above, below), row in zip(panels.T, rows, strict=True):
        seen, heat = _image(facts, row.values[name], row.maps[name], row.values.get(f"{name}_mask"))
        _show(above, seen, facts)
        _show(below, 0.65 + 0.35 * _grey(seen), facts)  # pale, so that colours stand out
        below.imshow(_coloured(heat), **_look(facts))
        right = row.told == row.actual
        said = (
            one_line(row.told, NAME)
            if right
            else f"{one_line(row.told, NAME)}, is {one_line(row.actual, NAME)}"
        )
        above.set_title(
            f"{said}\n{row.sure:.0%} sure",
            fontsize=9,
            loc="center",
            color=plots.THIRD if right else plots.SECOND,
        )
    figure.supxlabel(f"{one_line(name, NAME)}: {CAPTION}", fontsize=8.5, color=plots.SOFT)
    return plots.to_svg(figure, f"maps {name}")


def _image(facts: Mapping[str, Any], values: Array, heat: Array, mask: Array | None) -> tuple[Array, Array]:
    """A picture [H, W, 3] between 0 and 1, and its map [H, W]; frames run to the right, high bands are above."""
    if facts["kind"] == "image":
        pixels = values.transpose(1, 2, 0) * np.asarray(facts["std"]) + np.asarray(facts["mean"])
        return np.broadcast_to(pixels.clip(0, 1), (*pixels.shape[:2], 3)), heat.sum(axis=0)
    length = len(values) if mask is None else max(1, int(mask.sum()))
    if values.ndim == 1:
        return _wave(values[:length]), np.tile(heat[:length], (2, 1))
    frames = values[:length].T[::-1]
    low, high = np.percentile(frames, [1, 99])
    grey = ((frames - low) / max(high - low, 1e-9)).clip(0, 1)
    return np.repeat(grey[..., None], 3, axis=2), heat[:length].T[::-1]


def _wave(samples: Array, height: int = 64, width: int = 256) -> Array:
    """A wave as a picture: the range of its samples in each of some columns."""
    parts = np.array_split(samples / max(float(np.abs(samples).max()), 1e-9), min(width, len(samples)))
    level = np.linspace(1, -1, height)[:, None]
    inside = (level <= [part.max() for part in parts]) & (level >= [part.min() for part in parts])
    return np.repeat(np.where(inside, 0.2, 1.0)[..., None], 3, axis=2)


def _coloured(heat: Array) -> Array:
    """Colours [H, W, 4] of a map: the sign is the colour, the strength how much of it covers the picture."""
    heat = gaussian_filter(heat.astype(float), BLUR * len(heat))
    strength = np.abs(heat) / max(float(np.percentile(np.abs(heat), STRONG)), 1e-12)
    colours = np.where((heat > 0)[..., None], to_rgb(plots.ACCENT), to_rgb(plots.SECOND))
    return np.concatenate([colours, 0.9 * strength.clip(0, 1)[..., None]], axis=2)


def _grey(picture: Array) -> Array:
    return np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)


def _look(facts: Mapping[str, Any]) -> dict[str, Any]:
    picture = facts["kind"] == "image"
    return {
        "aspect": "equal" if picture else "auto",
        "interpolation": "nearest",
        "extent": (0, 1, 0, 1) if not picture else None,
    }


def _show(axes: Axes, picture: Array, facts: Mapping[str, Any]) -> None:
    axes.imshow(picture, **_look(facts))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
