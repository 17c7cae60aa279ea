"""The table of a sweep, best first, read from its directory alone: `sweep.csv` and `sweep_seeds.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_lab.config.secrets import escape_cell
from llm_lab.sweeps import record, rows, seeds, values
from llm_lab.sweeps.pareto import fronts, gains
from llm_lab.sweeps.rows import Row
from llm_lab.tracking.formats import clean, lower_is_better

CSV, SEEDS_CSV = "sweep.csv", "sweep_seeds.csv"
TIMES = ("started", "seconds", "joules", "memory")  # the last columns: two tables are compared without them
ORDER = (rows.FINISHED, rows.PRUNED, rows.RUNNING, rows.INTERRUPTED, rows.PENDING)  # others come last
UNKNOWN = record.Objective(metric="val/loss", direction="minimize")


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a sweep has come to.

    Attributes:
        directory: of the sweep.
        sweep: what was asked for; made up from the jobs where nothing says so.
        rows: a job each, best first, those without a figure last.
        keys: swept keys without the seed.
        metrics: what else was measured.
        seeded: whether jobs differ in their seed.
    """

    directory: Path
    sweep: record.Sweep
    rows: tuple[Row, ...]
    keys: tuple[str, ...]
    metrics: tuple[str, ...]
    seeded: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Metrics that the jobs are compared by."""
        return tuple(one.metric for one in self.sweep.objectives)

    @property
    def directions(self) -> tuple[str, ...]:
        """``minimize`` or ``maximize`` for each of them."""
        return tuple(one.direction for one in self.sweep.objectives)

    @property
    def measured(self) -> tuple[Row, ...]:
        """The jobs that finished with all figures, best first."""
        return tuple(row for row in self.rows if row.measured)

    @property
    def swept(self) -> tuple[str, ...]:
        """Swept keys, the seed after the others."""
        return (*self.keys, *((values.SEED,) if self.seeded else ()))

    def groups(self) -> list[seeds.Group]:
        """The settings, best mean first; a mean of one after those of several, since luck wins there."""
        found = seeds.groups(self.rows, self.metrics, self.names)
        enough = min(2, max((group.measured for group in found), default=0))
        return sorted(found, key=lambda group: (group.measured < enough, self._loss(group)))

    def _loss(self, group: seeds.Group) -> tuple[float, ...]:
        known = [group.means[name].value for name in self.names if name in group.means]
        better = gains(known, self.directions) if len(known) == len(self.names) else ()
        return tuple(-gain for gain in better)


def read_table(directory: Path) -> Table:
    """Read a sweep directory, or any folder of run directories."""
    sweep = read_sweep(directory)
    jobs = list({job.directory: job for job in reversed(sweep.jobs)}.values())[::-1]
    objectives = [one.metric for one in sweep.objectives]
    found = [rows.read_row(directory, job, objectives) for job in jobs]
    keys, found = _with_values(sweep, found)
    names = {name for row in found if row.state == rows.FINISHED for name in row.metrics} - set(objectives)
    return Table(
        directory=directory,
        sweep=sweep,
        rows=tuple(ordered(found, [one.direction for one in sweep.objectives])),
        keys=tuple(key for key in keys if key != values.SEED),
        metrics=tuple(sorted(names)),
        seeded=len({row.values.get(values.SEED) for row in found}) > 1,
    )


def read_sweep(directory: Path) -> record.Sweep:
    """Read ``sweep.json``; without it the run directories below are the jobs, compared by what they watched."""
    if (directory / record.FILE).is_file():
        return record.Sweep.read(directory)
    found = sorted(
        {path.parent for name in ("run.json", "config.yaml") for path in directory.glob(f"*/{name}")}
    )
    jobs = [record.Job(number=place, trial=place, directory=run.name) for place, run in enumerate(found)]
    return record.Sweep(name=directory.name, sampler="", objectives=(_watched(found),), jobs=jobs)


def _watched(runs: Iterable[Path]) -> record.Objective:
    """What the first run that says so chose its checkpoint by."""
    for run in runs:
        config = values.stored_values(run)
        for name in ("callbacks.best", "callbacks.early_stopping", "expected"):
            metric = config.get(f"{name}.monitor", config.get(f"{name}.metric"))
            if isinstance(metric, str):
                metric = metric.replace("test/", "val/", 1)  # nothing is chosen by what it was tested on
                return record.Objective(
                    metric=metric, direction="minimize" if lower_is_better(metric) else "maximize"
                )
    return UNKNOWN


def _with_values(sweep: record.Sweep, found: Sequence[Row]) -> tuple[list[str], list[Row]]:
    """Give each row the values of the swept keys; stored configs are read only where words do not tell."""
    words = [values.word_values(row.words) for row in found]
    keys = [*sweep.keys, *((values.SEED,) if sweep.seeds and values.SEED not in sweep.keys else ())]
    told = bool(keys) and all(key in one for one in words for key in keys)
    configs = [{} if told else values.stored_values(row.run) for row in found]
    keys = keys or values.differing(words, configs)
    return keys, [
        replace(row, values={key: one.get(key, config.get(key)) for key in keys})
        for row, one, config in zip(found, words, configs, strict=True)
    ]


def ordered(found: Sequence[Row], directions: Sequence[str]) -> list[Row]:
    """Best first; several goals by their Pareto front, then the first goal; what failed comes last."""
    measured = [row for row in found if row.measured]
    numbers = dict(
        zip(
            (id(row) for row in measured),
            fronts([row.figures for row in measured], directions),
            strict=True,
        )
    )
    ranked = [replace(row, front=numbers.get(id(row))) for row in found]
    return sorted(ranked, key=lambda row: _place(row, directions))


def _place(row: Row, directions: Sequence[str]) -> tuple[Any, ...]:
    state = ORDER.index(row.state) if row.state in ORDER else len(ORDER)
    complete = None not in row.objectives
    losses = [-gain for gain in gains(row.figures, directions)] if complete else []
    return (state, not complete, row.front or 0, losses, row.directory)


def to_csv(table: Table) -> str:
    """One line per job; no cell runs as a formula; the columns of `TIMES` are the last ones."""
    several = len(table.names) > 1
    columns = ["rank", "hash", "state", *table.names, *(["front"] if several else []), *table.swept]
    columns += [
        *(name for name in table.metrics if name not in columns),
        "step",
        "reason",
        "directory",
        *TIMES,
    ]
    ranks = {row.directory: place for place, row in enumerate(table.measured, start=1)}
    lines = [
        {
            **row.metrics,
            **row.values,
            **dict(zip(table.names, row.objectives, strict=True)),
            "rank": ranks.get(row.directory),
            "hash": row.hash,
            "state": row.state,
            "front": row.front,
            "step": row.step,
            "reason": row.reason,
            "directory": row.directory,
            "started": _moment(row.started),
            "seconds": _rounded(row.seconds),
            "joules": _rounded(row.joules),
            "memory": None if row.memory is None else int(row.memory),
        }
        for row in table.rows
    ]
    return _csv(columns, lines)


def seeds_csv(table: Table) -> str:
    """One line per setting: the mean of each metric over the seeds, the ends of its 95 % t-interval, n."""
    names = [*table.names, *(name for name in table.metrics if not name.endswith(("_low", "_high")))]
    columns = [*table.keys, "n", "jobs"]
    columns += [f"{name} {part}" for name in names for part in ("mean", "low", "high")]
    lines = [
        {
            **group.values,
            "n": group.measured,
            "jobs": len(group.rows),
            **{
                f"{name} {part}": value
                for name, one in group.means.items()
                if name in names
                for part, value in (("mean", one.value), ("low", one.low), ("high", one.high))
            },
        }
        for group in table.groups()
    ]
    return _csv(columns, lines)


def _csv(columns: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(line.get(name)) for name in columns] for line in lines)
    return stream.getvalue()


def _cell(value: Any) -> str:
    return "" if value is None else escape_cell(clean(str(value)))


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
