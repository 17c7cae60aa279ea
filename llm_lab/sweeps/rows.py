"""One job of a sweep as its run directory tells it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_lab.sweeps.record import Job
from llm_lab.tracking.curves import read_history
from llm_lab.tracking.formats import one_line

PENDING, RUNNING, FINISHED, PRUNED, FAILED = "pending", "running", "finished", "pruned", "failed"
INTERRUPTED = "interrupted"
SHOWN = ("train/", "val/", "test/")
COSTS = ("run/trainable_parameters", "run/trainable_share", "run/optimizer_bytes")  # beside what was measured


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table.

    Attributes:
        directory: the run directory, relative to the sweep's.
        run: the same, absolute.
        hash: of the run's config; its folder's name before it has started.
        state: as in ``run.json``; ``pending`` before the job has started.
        words: that compose it, secrets masked once it has started.
        metrics: finite numbers of ``metrics.json``.
        facts: everything else of it that is a number, ``run/...``.
        step: optimizer steps done; of a pruned job where it was ended.
        reason: why there is no figure, one line.
        started: seconds since 1970.
        seconds, joules, memory: what it cost; the last is the most bytes that its process held.
        number: place of the job in the sweep.
        values: of the swept keys.
        objectives: figures it is compared by, None where one is missing.
        front: which Pareto front it is on, 1 is the best; None without all figures.
    """

    directory: str
    run: Path
    hash: str
    state: str
    words: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int | None = None
    reason: str = ""
    started: float | None = None
    seconds: float | None = None
    joules: float | None = None
    memory: float | None = None
    number: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    objectives: tuple[float | None, ...] = ()
    front: int | None = None

    @property
    def measured(self) -> bool:
        """Whether it has finished with every figure that it is compared by."""
        return self.state == FINISHED and bool(self.objectives) and None not in self.objectives

    @property
    def figures(self) -> tuple[float, ...]:
        """The figures it is compared by, of a measured job."""
        return tuple(value for value in self.objectives if value is not None)


def read_row(sweep: Path, job: Job, objectives: Sequence[str]) -> Row:
    """Read what the job has left until now; nothing in it can make this fail."""
    run = sweep / job.directory
    state, metrics, ledger = (_object(run / name) for name in ("run.json", "metrics.json", "ledger.json"))
    status = str(state.get("state") or PENDING)
    history = [] if status in {FINISHED, PENDING} else read_history(run / "history.jsonl")
    numbers = {key: float(value) for key, value in metrics.items() if _is_number(value)}
    latest = {key: value for row in history for key, value in row.items() if _is_number(value)}
    known = numbers if status == FINISHED else latest | numbers if status == PRUNED else {}
    last = history[-1]["step"] + 1 if history else None  # Lightning counts the steps of a row from 0
    step = numbers.get("run/steps", last)
    return Row(
        directory=job.directory,
        run=run,
        hash=str(state.get("hash") or Path(job.directory).name),
        state=status,
        words=tuple(map(str, state.get("words") or job.words)),
        metrics={key: value for key, value in known.items() if key.startswith(SHOWN) or key in COSTS},
        step=None if step is None else int(step),
        reason=_reason(status, state, known, objectives, last),
        started=_number(state.get("started")),
        seconds=_seconds(numbers, ledger, state),
        joules=numbers.get("run/joules", _total(ledger.get("joules"))),
        memory=numbers.get("run/peak_rss_bytes"),
        number=job.number,
        objectives=tuple(known.get(name) for name in objectives),
    )


def _reason(
    status: str,
    state: Mapping[str, Any],
    known: Mapping[str, float],
    objectives: Sequence[str],
    last: int | None,
) -> str:
    if status == PRUNED:
        return f"pruned at step {last}" if last is not None else "pruned"
    if status == FINISHED:
        missing = [name for name in objectives if name not in known]
        return f"no finite {', '.join(missing)}" if missing else ""
    if status != FAILED:
        return ""
    error = state.get("error")
    if isinstance(error, Mapping):
        return one_line(": ".join(str(error[key]) for key in ("kind", "message") if error.get(key)))
    return one_line(str(error)) if error else f"exit code {state.get('exit_code')}, see llm_lab.log"


def _object(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none, or something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _seconds(
    numbers: Mapping[str, float], ledger: Mapping[str, Any], state: Mapping[str, Any]
) -> float | None:
    found = numbers.get("run/seconds", _total(ledger.get("seconds")))
    started, ended = _number(state.get("started")), _number(state.get("ended"))
    return ended - started if found is None and started is not None and ended is not None else found


def _total(parts: Any) -> float | None:
    numbers = [value for value in parts.values() if _is_number(value)] if isinstance(parts, dict) else []
    return sum(numbers) if numbers else None


def _number(value: Any) -> float | None:
    return float(value) if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
