"""What the page of a sweep says first: the best setting, its figures, how sure the choice is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llm_lab.sweeps.rows import Row
from llm_lab.sweeps.seeds import Group
from llm_lab.sweeps.table import Table
from llm_lab.sweeps.terminal import interval, settings
from llm_lab.tracking import formats, plots
from llm_lab.tracking.usage import commands

SHOWN_METRICS = 3
FIRST_METRICS = ("test/accuracy", "test/f1", "test/loss", "val/accuracy", "val/f1", "val/loss")


def goal(table: Table, place: int) -> dict[str, Any]:
    """Return a figure that jobs are compared by: its range, and each job's share of it for the bars."""
    values = [row.figures[place] for row in table.measured]
    maximize = table.directions[place] == "maximize"
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    widths = {
        row.directory: 100 * ((row.figures[place] - low) / (high - low) if high > low else 1.0)
        for row in table.measured
    }
    widths = (
        widths if maximize else {name: 100 - width if high > low else width for name, width in widths.items()}
    )
    direction = "higher is better" if maximize else "lower is better"
    return {
        "key": table.names[place],
        "name": plots.metric_label(table.names[place]),
        "direction": direction,
        "widths": widths,
    }


def best(table: Table, found: Sequence[Group]) -> dict[str, Any] | None:
    """Return the best setting: its figures, what it was set to, its command; None while no job has finished."""
    if not table.measured:
        return None
    group = next((one for one in found if one.measured), found[0]) if table.seeded else None
    row = next(one for one in group.rows if one.measured) if group else table.measured[0]
    values = group.values if group else row.values
    return {
        "row": row,
        "figures": [_figure(table, place, row, group) for place in range(len(table.names))],
        "settings": settings(values),
        "command": commands(row.run, {"words": row.words})["reproduce"],
        "beside": [(name, _beside(name, row, group)) for name in shown_metrics(table)],
        "note": note(table, found, group),
    }


def _beside(name: str, row: Row, group: Group | None) -> str:
    if group and name in group.means:
        return interval(group.means[name])
    below = [row.metrics.get(f"{name}_{end}") for end in ("low", "high")]
    spread = "" if None in below else f" ({formats.number(below[0])} to {formats.number(below[1])})"
    return f"{formats.number(row.metrics.get(name))}{spread}"


def _figure(table: Table, place: int, row: Row, group: Group | None) -> dict[str, Any]:
    name = table.names[place]
    below = [row.metrics.get(f"{name}_low"), row.metrics.get(f"{name}_high")]
    text = f"95 % interval over the rows {formats.number(below[0])} to {formats.number(below[1])}"
    if group and group.means[name].half is not None:
        text = f"± {formats.number(group.means[name].half)}, 95 % t-interval of {group.measured} seeds"
    elif None in below:
        text = goal(table, place)["direction"]
    value = group.means[name].value if group else row.figures[place]
    return {"name": plots.metric_label(name), "value": value, "text": text}


def note(table: Table, found: Sequence[Group], group: Group | None) -> str:
    """Say how sure the choice is."""
    if group is None or group.means[table.names[0]].half is None:
        return (
            "Each setting ran once: differences smaller than those between seeds say nothing."
            if len(table.rows) > 1
            else ""
        )
    one = group.means[table.names[0]]
    means = [other.means[table.names[0]].value for other in found if other is not group and other.measured]
    inside = sum(abs(value - one.value) <= (one.half or 0) for value in means)
    if not inside:
        return "No other setting's mean lies within the interval of the best."
    verb = "setting's mean lies" if inside == 1 else "settings' means lie"
    return f"{inside} other {verb} within the interval of the best: between them, these seeds do not decide."


def shown_metrics(table: Table) -> list[str]:
    """Return the metrics with a column on the page; `sweep.csv` has all."""
    known = [name for name in FIRST_METRICS if name in table.metrics]
    return (known or [name for name in table.metrics if not name.startswith("train/")])[:SHOWN_METRICS]
