"""One job of a sweep, in whatever process it runs: skipped, repeated, recorded, and told in one line."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from llm_lab.launch.place import placed
from llm_lab.modes import failure
from llm_lab.modes.run import read_state
from llm_lab.sweeps.failures import record
from llm_lab.sweeps.record import DONE, FILE, Job, Sweep, state_of, value_of

log = logging.getLogger(__name__)
STOP = ".stop"  # no further job of the sweep is started while this is there


def in_sweep(run: Callable[[], object], directory: Path, folder: Path) -> float | None:
    """Run one job; whatever becomes of it is recorded and not raised, but for Ctrl-C.

    Args:
        run: trains, tests, reports.
        directory: of the job.
        folder: of the sweep.

    Returns:
        The first objective; None where there is no figure.
    """
    place = placed()
    if place is not None and place.rank:  # one task of several: rank 0 keeps the record
        try:
            run()
        except Exception:
            log.exception("rank %d failed", place.rank)
        return None
    sweep = Sweep.read(folder) if (folder / FILE).is_file() else Sweep(name="")
    job = sweep.job_in(str(directory.relative_to(folder))) if directory.is_relative_to(folder) else None
    if state_of(directory) not in DONE and not (folder / STOP).exists():
        try:
            _attempts(run, directory, sweep, job)
        finally:
            _write_table(folder, sweep)
        if sweep.on_failure == "stop" and state_of(directory) == "failed":
            (folder / STOP).touch()
    values = value_of(directory, sweep.objectives)
    return values[0] if values else None


def _attempts(run: Callable[[], object], directory: Path, sweep: Sweep, job: Job | None) -> None:
    label = f"[{job.number + 1}/{sweep.total}] " if job else ""
    say(f"{label}{' '.join(job.swept(sweep.keys)) if job else directory}")
    for left in range(sweep.retries if sweep.on_failure == "retry" else 0, -1, -1):
        error = _attempt(run, directory)
        again = left > 0 and error is not None and error["kind"] != failure.OUT_OF_MEMORY
        say(f"{label}{outcome(directory, sweep)}{', once more' if again else ''}")
        if not again:
            return


def _attempt(run: Callable[[], object], directory: Path) -> dict[str, str] | None:
    """Run once; what it failed of, if it did. The traceback goes to the job's log file."""
    try:
        run()
    except Exception as error:  # noqa: BLE001 - a failed job never stops a sweep
        text = failure.masked.get()("".join(traceback.format_exception(error)))
        with (directory / "llm_lab.log").open("a", encoding="utf-8") as file:
            file.write(text)
        found = failure.describe(error)
        record(directory, found)
        return found
    return None


def outcome(directory: Path, sweep: Sweep) -> str:
    """How a job ended, in one line: its objectives, or what is wrong."""
    state = read_state(directory)
    name = str(state.get("state", "not started"))
    seconds = (state.get("ended") or time.time()) - (state.get("started") or time.time())
    if name == "finished":
        values = value_of(directory, sweep.objectives) or ()
        named = [f"{item.metric} {value:.4g}" for item, value in zip(sweep.objectives, values, strict=False)]
        return f"{', '.join(named) or 'finished'} after {seconds:.0f} s"
    if name == "failed":
        error = state.get("error") or {}
        kind = str(error.get("kind", name)).replace("_", " ")
        return f"{kind}: {error.get('message', 'see llm_lab.log')}"
    return f"{name} after {seconds:.0f} s"


def _write_table(folder: Path, sweep: Sweep) -> None:
    """Write ``sweep.csv`` anew."""
    if sweep.jobs:
        from llm_lab.sweeps.report import write_table

        write_table(folder)


def say(line: str) -> None:
    """Print a line at once, whoever else writes to the terminal."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
