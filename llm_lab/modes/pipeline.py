"""Run the steps of a pipeline one after another, each where its result is not there yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llm_lab.config.deep import deep_faults
from llm_lab.config.fault import Fault, FaultsError, short_path
from llm_lab.config.run_hash import run_hash
from llm_lab.config.sweep import spread
from llm_lab.config.words import Words
from llm_lab.errors import ConfigError, Interrupted
from llm_lab.launch.place import placed
from llm_lab.modes.once import RUN, THERE, trained
from llm_lab.pipelines.steps import Planned, planned
from llm_lab.tracking import formats


@dataclass(frozen=True, kw_only=True)
class Done:
    """A step that is done: the words that single out its pipeline in a sweep, and what came of it."""

    swept: str
    step: str
    state: str
    directory: Path
    figure: tuple[str, float] | None
    seconds: float | None


def pipeline(words: Words) -> int:
    """Check every step, run those that are missing, print one table.

    Raises:
        FaultsError: something is wrong with a step; nothing was started.
        Interrupted: Ctrl-C; the same command goes on in the step that was under way.
    """
    if placed() is not None:
        raise ConfigError("a pipeline starts ranks by itself: trainer.devices=N instead of torchrun")
    plans = checked(words, deep=True)
    done: list[Done] = []
    try:
        for swept, steps in plans:
            runs: dict[str, Path] = {}
            for step in steps:
                done.append(_do(step, words, runs, swept))  # noqa: PERF401 - what is done counts after Ctrl-C too
    except Interrupted:
        raise Interrupted("interrupted; the same command goes on") from None
    finally:
        if done:
            Console().print(_table(done))
    return 0


def checked(words: Words, *, deep: bool) -> list[tuple[str, list[Planned]]]:
    """The steps of every pipeline that the words stand for, with the words in which it differs from the others.

    Args:
        words: the command line; under ``--multirun`` several values in a word make several pipelines.
        deep: import what the steps name as well.

    Raises:
        FaultsError: all that is wrong with any of the steps.
    """
    faults: list[Fault] = []
    places = {"config_name": words.config_name, "config_dir": words.config_dir}
    jobs = spread(words.overrides, faults, **places) if words.multirun else [list(words.overrides)]
    plans = [
        (" ".join(word for word in job if word not in words.overrides), planned(job, faults, **places))
        for job in jobs
        if not faults
    ]
    if not faults and deep:
        trained = [step.trained for _, steps in plans for step in steps if step.trained]
        faults += [fault for one in trained for fault in deep_faults(one.config, one.origins)]
    if faults:
        raise FaultsError(faults=faults)
    return plans


def _do(step: Planned, words: Words, runs: dict[str, Path], swept: str) -> Done:
    """Train or evaluate one step, unless that was done; `runs` gains the run directory of the step."""
    if step.trained is None:
        run = runs[step.evaluates]
        state, kept = _evaluated(run, step.words)
        figures = kept["metrics"]
        name = _watched(run, figures)
        seconds = kept.get("seconds")
    else:
        wanted = run_hash(step.trained.config)
        run, state = trained(wanted, step.words, words=words, asker=f"the step {step.name}")
        runs[step.name] = run
        figures = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        name = _watched(run, figures)
        seconds = figures.get("run/seconds")
    figure = (name, float(figures[name])) if name else None
    return Done(swept=swept, step=step.name, state=state, directory=run, figure=figure, seconds=seconds)


def _evaluated(run: Path, words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    from llm_lab.modes.evaluate import earlier, evaluate

    if kept := earlier(run, words):
        return THERE, kept
    evaluate(run, words)
    return RUN, earlier(run, words) or {}


def _watched(run: Path, figures: dict[str, Any]) -> str | None:
    """The figure that a run is known by: the expected one, else the first of the test, else what it monitored."""
    from llm_lab.modes.run import stored_config
    from llm_lab.tracking.headline import headline

    config = stored_config(run)
    names = [(config.get("expected") or {}).get("metric"), *(one["key"] for one in headline(figures, {}))]
    return next((name for name in names if name in figures), None)


def _table(done: Sequence[Done]) -> Table:
    table = Table()
    several = any(one.swept for one in done)
    for name in [*(["words"] if several else []), "step", "", "figure", "time"]:
        table.add_column(name)
    table.add_column("run", overflow="fold")
    for one in done:
        cells = [*([one.swept] if several else []), *_cells(one)]
        table.add_row(*map(escape, cells))
    return table


def _cells(one: Done) -> Iterator[str]:
    yield from (one.step, one.state)
    yield f"{one.figure[0]} {formats.number(one.figure[1])}" if one.figure else formats.MISSING
    yield formats.seconds(one.seconds)
    yield short_path(one.directory)
