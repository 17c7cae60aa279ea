"""Marks of jobs in plots: their colour tells their rank, a pointer over one lights up the same job everywhere."""

from __future__ import annotations

import html
import re

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from llm_lab.sweeps.rows import Row
from llm_lab.sweeps.table import Table
from llm_lab.sweeps.terminal import settings
from llm_lab.tracking import formats, plots

WORST_TO_BEST = LinearSegmentedColormap.from_list("rank", [plots.SECOND, "#9b8496", plots.ACCENT])
Colour = tuple[float, float, float, float]


class Marks:
    """What the plots of one page know of its jobs.

    Args:
        table: the sweep.

    Attributes:
        ids: the number of each job on the page, by its directory.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.ids = {row.directory: number for number, row in enumerate(table.rows)}
        measured = table.measured
        last = max(1, len(measured) - 1)
        self._ranks = {row.directory: 1 - place / last for place, row in enumerate(measured)}
        self._titles = {number: self._title(row) for number, row in enumerate(table.rows)}

    def colour(self, row: Row) -> Colour:
        """Blue for the best, orange for the worst; the good ones stand out where there are many."""
        rank = self._ranks.get(row.directory, 0.0)
        crowd = min(1.0, 25 / max(1, len(self._ranks)))
        alpha = max(0.16, crowd) + (1 - max(0.16, crowd)) * rank**4
        red, green, blue, _ = WORST_TO_BEST(rank)
        return (float(red), float(green), float(blue), float(min(1.0, alpha)))

    def gid(self, row: Row) -> str:
        """Name of the job's mark in a plot."""
        return f"job-{self.ids[row.directory]}"

    def dot(self, axes: Axes, row: Row, x: float, y: float, *, size: float = 6.5) -> None:
        """Draw a job as a dot."""
        axes.plot(
            [x],
            [y],
            marker="o",
            markersize=size,
            markeredgewidth=0,
            color=self.colour(row),
            gid=self.gid(row),
        )

    def finish(self, svg: str) -> Markup:
        """Give the marks of a drawn plot their titles, and the numbers by which they are found."""
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
        return Markup(re.sub(r'<g id="[\w-]*?\bjob-(\d+)">', self._tag, svg))  # noqa: S704 - drawn by us, titles escaped

    def _tag(self, found: re.Match[str]) -> str:
        number = int(found[1])
        return f'<g class="job" data-job="{number}"><title>{html.escape(self._titles[number])}</title>'

    def _title(self, row: Row) -> str:
        lines = [
            f"{name} {formats.number(value, 4)}"
            for name, value in zip(self.table.names, row.objectives, strict=True)
        ]
        lines += settings(row.values)
        state = row.reason or (f"step {row.step}" if row.step is not None else row.state)
        return formats.clean("\n".join([*lines, state, row.directory]))
