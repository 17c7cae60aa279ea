"""The last thing on the terminal: the figures beside the baselines, then where everything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from llm_lab.tracking import formats, headline


def summary_table(
    metrics: Mapping[str, Any],
    baselines: Mapping[str, float],
    expected: Mapping[str, Any] | None = None,
    words: Sequence[str] = (),
) -> Table:
    """Return the test metrics as a table, each beside the baselines' figures.

    Args:
        metrics: flat metrics of the run.
        baselines: ``baseline/NAME/METRIC`` -> value.
        expected: ``metric``, ``value`` and ``tolerance``; whether it was met stands under the table.
        words: what was typed; see `llm_lab.tracking.headline.verdict`.
    """
    split = "test" if any(key.startswith("test/") for key in metrics) else "validation"
    verdict = headline.verdict(expected, metrics, words)
    table = Table(title=f"{split} split", title_justify="left", caption=verdict["text"] if verdict else None)
    table.caption_justify = "left"
    table.add_column("metric")
    table.add_column("this model", justify="right", style="bold")
    names = [headline.BASELINES.get(name, name) for name in headline.baseline_names(baselines)]
    for name in names:
        table.add_column(escape(name), justify="right")
    for figure in headline.headline(metrics, baselines):
        label = figure["name"] + (" (lower is better)" if figure["lower"] else "")
        beside = [formats.number(figure["by_label"].get(name)) for name in names]
        table.add_row(escape(label), formats.number(figure["value"]), *beside)
    return table


def places_table(places: Mapping[str, Any]) -> Table:
    """Return paths and addresses (model, report, trackers) as a grid; long ones are never cut."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, place in places.items():
        grid.add_row(escape(str(name)), escape(str(place)))
    return grid
