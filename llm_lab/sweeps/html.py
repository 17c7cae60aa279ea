"""The page of a sweep: one file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import math
from importlib.resources import files
from statistics import fmean
from typing import Any

from markupsafe import Markup

from llm_lab.sweeps import html_ablation, html_plots, rows
from llm_lab.sweeps.ablation import ablations, rows_of
from llm_lab.sweeps.html_best import best, goal, shown_metrics
from llm_lab.sweeps.html_marks import Marks
from llm_lab.sweeps.html_parallel import MOST_AXES, parallel
from llm_lab.sweeps.importance import FEWEST, importances
from llm_lab.sweeps.table import Table
from llm_lab.sweeps.terminal import costs, interval, settings, short_names, value_text
from llm_lab.tracking import formats, plots
from llm_lab.tracking.curves import read_history
from llm_lab.tracking.pages import environment

MOST_PANELS = 3
BADGES = {rows.FINISHED: "met", rows.FAILED: "missed"}


def page(table: Table) -> str:
    """Return the HTML of a sweep, however far it has come."""
    engine = environment("llm_lab.sweeps", html=True)
    engine.filters |= {
        "value": value_text,
        "interval": interval,
        "size": formats.size,
        "badge": lambda state: BADGES.get(state, ""),
    }
    script = files("llm_lab.sweeps").joinpath("templates/sweep.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    variables = {"script": Markup(script), "digest": digest}  # noqa: S704 - our own file, allowed by its hash
    return engine.get_template("sweep.html.j2").render(variables | sections(table))


def sections(table: Table) -> dict[str, Any]:
    """Return the variables of the template."""
    marks = Marks(table)
    shares = importances(table.measured, table.keys)
    keys = [*shares, *(key for key in table.swept if key not in shares)]  # what matters most comes first
    found, lost = table.groups(), ablations(table)
    return {
        "name": table.sweep.name,
        "subtitle": subtitle(table),
        "table": table,
        "ids": marks.ids,
        "goals": [goal(table, place) for place in range(len(table.names))],
        "states": {state: count for state in _states(table) if (count := _count(table, state))},
        "best": best(table, found),
        "short": dict(zip(table.swept, short_names(table.swept), strict=True)),
        "shown": shown_metrics(table),
        "costs": costs(table),
        "ablations": html_ablation.pictures(lost),
        "contributions": rows_of(lost),
        "parallel": parallel(table, marks, keys),
        "hidden_axes": keys[MOST_AXES:],
        "importances": shares,
        "fewest": FEWEST,
        "slices": html_plots.slices(marks, list(keys)),
        "curves": learning_curves(table, marks),
        "progress": html_plots.progress(marks) if table.sweep.sampler not in {"", "grid"} else Markup(),
        "cost": cost_plots(marks),
        "totals": totals(table),
        "pareto": goal_plots(table, marks),
        "groups": found if table.seeded else [],
        "seeds_plot": html_plots.seed_intervals(marks, found) if table.seeded else Markup(),
        "failures": [row for row in table.rows if row.state in {rows.FAILED, rows.INTERRUPTED}],
        "facts": facts(table),
    }


def _states(table: Table) -> list[str]:
    known = [rows.FINISHED, rows.PRUNED, rows.RUNNING, rows.PENDING, rows.INTERRUPTED, rows.FAILED]
    return [*known, *sorted({row.state for row in table.rows} - set(known))]


def _count(table: Table, state: str) -> int:
    return sum(row.state == state for row in table.rows)


def subtitle(table: Table) -> str:
    """Return one line: how values were chosen, how many jobs, over what."""
    sampler = table.sweep.sampler
    pruned = f" with {table.sweep.pruner} pruning" if table.sweep.pruner not in {"", "none"} else ""
    over = f"over {', '.join(table.swept)}" if table.swept else ""
    count = f"{len(table.rows)} job{'' if len(table.rows) == 1 else 's'}"
    return " · ".join(part for part in (f"{sampler}{pruned}", count, over, str(table.directory)) if part)


def learning_curves(table: Table, marks: Marks) -> list[Markup]:
    """Draw the figures the jobs are compared by, over the steps; those of validation stand for the tested ones."""
    wanted = {
        name.replace("test/", "val/", 1): direction
        for name, direction in zip(table.names, table.directions, strict=True)
    }
    wanted = dict([*wanted.items(), ("val/loss", "minimize")][:MOST_PANELS]) | wanted
    histories = {row.directory: read_history(row.run / "history.jsonl") for row in table.rows}
    found = {name: _series(histories, name) for name in wanted}
    found = {name: series for name, series in found.items() if series}
    wide = len(found) == 1
    return [html_plots.curves(marks, name, series, wanted[name], wide=wide) for name, series in found.items()]


def _series(histories: dict[str, list[dict[str, Any]]], name: str) -> dict[str, list[plots.Point]]:
    series = {
        directory: [(row["step"] + 1, row[name]) for row in history if _finite(row.get(name))]
        for directory, history in histories.items()
    }
    return {directory: points for directory, points in series.items() if points}


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def cost_plots(marks: Marks) -> list[Markup]:
    """Draw the first figure over seconds, and over joules where they are known."""
    drawn = [
        html_plots.against(marks, "Time and quality", "seconds", lambda row: row.seconds),
        html_plots.against(marks, "Energy and quality", "joules", lambda row: row.joules),
    ]
    return [one for one in drawn if one]


def goal_plots(table: Table, marks: Marks) -> list[Markup]:
    """Draw each further figure against the first."""
    return [
        html_plots.against(
            marks,
            f"{plots.metric_label(table.names[0])} and {plots.metric_label(name)}",
            plots.metric_label(name),
            lambda row, place=place: row.figures[place],  # type: ignore[misc]
            other=table.directions[place],
        )
        for place, name in enumerate(table.names)
        if place and table.measured
    ]


def totals(table: Table) -> list[tuple[str, str]]:
    """Return what the sweep has cost, all jobs together."""
    seconds = [row.seconds for row in table.rows if row.seconds is not None]
    joules = [row.joules for row in table.rows if row.joules is not None]
    full = [row.step for row in table.measured if row.step]
    steps = [row.step for row in table.rows if row.step]
    lines = [("time of all jobs", formats.seconds(sum(seconds)))] if seconds else []
    lines += [("mean of a finished job", formats.seconds(fmean(done)))] if (done := _durations(table)) else []
    lines += [("energy", f"about {formats.scaled(sum(joules), 'J')} in {len(joules)} jobs")] if joules else []
    if full and _count(table, rows.PRUNED):
        share = sum(steps) / (max(full) * len(steps))
        lines.append(
            ("optimizer steps", f"{formats.percent(share)} of what {len(steps)} whole jobs would have taken")
        )
    return lines


def _durations(table: Table) -> list[float]:
    return [row.seconds for row in table.measured if row.seconds is not None]


def facts(table: Table) -> list[tuple[str, str]]:
    """Return how the sweep was made."""
    sweep = table.sweep
    compared = ", ".join(f"{one.metric} ({one.direction})" for one in sweep.objectives)
    lines = {
        "compared by": compared,
        "sampler": sweep.sampler,
        "pruner": " ".join([sweep.pruner, *settings(sweep.settings)]) if sweep.pruner != "none" else "",
        "words": " ".join(sweep.words),
        "seeds": ", ".join(map(str, sweep.seeds)),
    }
    return [(name, text) for name, text in lines.items() if text]
