"""The table of a sweep on the terminal: best first, what failed with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table as Grid

from llm_lab.sweeps.rows import FAILED, FINISHED, Row
from llm_lab.sweeps.table import CSV, SEEDS_CSV, Table
from llm_lab.tracking import formats
from llm_lab.tracking.summary import places_table

MOST = 25  # lines; the others are in the file
TRAINED, OPTIMIZER = "run/trainable_parameters", "run/optimizer_bytes"
STYLES = {FINISHED: "", FAILED: "red", "pruned": "dim", "pending": "dim"}


def terminal_table(table: Table) -> Grid:
    """Return the best jobs, and every job that failed."""
    failed = [row for row in table.rows if row.state == FAILED]
    others = [row for row in table.rows if row.state != FAILED]
    hidden = len(others) - len(others[:MOST]) + len(failed) - len(failed[:MOST])
    grid = Grid(title=_title(table), title_justify="left", caption_justify="left")
    grid.caption = f"{hidden} more jobs in {CSV}" if hidden else None
    for name in table.names:
        grid.add_column(escape(name), justify="right", style="bold", no_wrap=True)
    for key in short_names(table.swept):
        grid.add_column(escape(key), justify="right")
    grid.add_column("state")
    for name in (*costs(table), "step", "time"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("job", no_wrap=True)
    for row in [*others[:MOST], *failed[:MOST]]:
        grid.add_row(*_cells(table, row), style=STYLES.get(row.state, "yellow"))
    return grid


def contributions_table(rows: Sequence[Mapping[str, str]]) -> Grid:
    """Return what each input contributes, see `llm_lab.sweeps.ablation.rows_of`."""
    grid = Grid(title="what each input contributes, with 95 % intervals", title_justify="left")
    for name in rows[0]:
        grid.add_column(name, justify="left" if name in {"metric", "input"} else "right")
    for row in rows:
        grid.add_row(*(escape(text) for text in row.values()))
    return grid


def places(table: Table, page: Path) -> Grid:
    """Return the best setting with its interval, and where the files are."""
    best = table.groups()[0] if table.seeded and table.measured else None
    facts: dict[str, Any] = {}
    if best is not None:
        facts["best"] = ", ".join([*settings(best.values), *_means(table)])
        facts["seeds"] = table.directory / SEEDS_CSV
    return places_table(facts | {"table": table.directory / CSV, "report": page})


def _means(table: Table) -> list[str]:
    best = table.groups()[0]
    return [f"{name} {interval(best.means[name])}" for name in table.names]


def interval(mean: Any) -> str:
    """A mean with half its interval and the number of seeds."""
    half = "" if mean.half is None else f" ± {formats.number(mean.half)}"
    return f"{formats.number(mean.value)}{half} (n = {mean.n})"


def _title(table: Table) -> str:
    counts = {state: sum(row.state == state for row in table.rows) for state in dict.fromkeys(_states(table))}
    return escape(
        f"{table.sweep.name}: "
        + (", ".join(f"{count} {state}" for state, count in counts.items()) or "no job")
    )


def _states(table: Table) -> list[str]:
    return [row.state for row in table.rows]


def _cells(table: Table, row: Row) -> list[str]:
    figures = [formats.number(value) for value in row.objectives]
    swept = [formats.one_line(value_text(row.values.get(key)), 30) for key in table.swept]
    state = f"{row.state}: {formats.one_line(row.reason, 60)}" if row.state == FAILED else row.state
    trained = row.metrics.get(TRAINED)
    counted = "" if trained is None else f"{trained:,.0f}"
    sizes = [formats.size(size) for size in (row.metrics.get(OPTIMIZER), row.memory)]
    cost = [counted, *sizes] if costs(table) else []
    step = "" if row.step is None else str(row.step)
    time = "" if row.seconds is None else formats.seconds(row.seconds)
    return [escape(text) for text in (*figures, *swept, state, *cost, step, time, row.directory)]


def costs(table: Table) -> tuple[str, ...]:
    """Columns for jobs that differ in how much trains."""
    differ = len({row.metrics.get(TRAINED) for row in table.measured}) > 1
    return ("trained", "optimizer", "memory") if differ else ()


def short_names(keys: Sequence[str]) -> list[str]:
    """The last part of each key, the whole one where two keys end alike."""
    ends = [key.rpartition(".")[2] for key in keys]
    return [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]


def settings(values: Mapping[str, object]) -> list[str]:
    """Swept values as they would be typed."""
    return [
        f"{formats.clean(key)}={formats.one_line(value_text(value), 60)}" for key, value in values.items()
    ]


def value_text(value: Any) -> str:
    """A swept value as it would be typed."""
    if value is None:
        return formats.MISSING
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else formats.clean(str(value))
