"""What one rank does: take part in the jobs that rank 0 hands out."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from llm_lab.config.words import Words
from llm_lab.errors import LabError, RunError
from llm_lab.launch.meeting import Meeting, meet
from llm_lab.launch.options import Launch
from llm_lab.launch.place import Place, placed
from llm_lab.launch.ranks import fit_to

FAREWELL = 10.0  # seconds in which the other ranks must come to be sent home
log = logging.getLogger(__name__)
_met: dict[int, Meeting] = {}  # this process's meeting: all jobs of a sweep use the same one

Metrics = dict[str, Any]


def meeting(place: Place, *, timeout: float = Launch.timeout) -> Meeting:
    """The meeting of this process with the other ranks, joined at the first call."""
    if os.getpid() not in _met:
        _met[os.getpid()] = meet(place, timeout=timeout)
    return _met[os.getpid()]


def lead(place: Place, config: DictConfig, directory: Path, *, facts: dict[str, Any]) -> Metrics:
    """Train as rank 0: hand the job to the others, then take part."""
    fit_to(place, config)
    found = meeting(place, timeout=config.launch.timeout)
    return _train(found, config, found.hand_out(directory, config), facts=facts)


def follow(place: Place) -> Metrics:
    """Take part in the next job of rank 0."""
    found = meeting(place)
    job = found.receive()
    return {} if job is None else _train(found, job[1], job[0], facts={})


def follow_all(place: Place, words: Sequence[str] = ()) -> int:
    """Take part in every job of rank 0; a job that fails is rank 0's to tell.

    Args:
        place: which rank this is.
        words: the command line, of which only ``launch.timeout`` counts before rank 0 is met.
    """
    timeouts = [word.partition("=")[2] for word in words if word.startswith("launch.timeout=")]
    found, code = meeting(place, timeout=float(timeouts[-1]) if timeouts else Launch.timeout), 0
    while job := found.receive():
        try:
            _train(found, job[1], job[0], facts={})
        except Exception as error:
            log.exception("rank %d failed", place.rank)
            code = getattr(error, "exit_code", 1)
    found.leave()
    return code


def take_part(place: Place, words: Words, lead: Callable[[Words], int]) -> int:
    """Run a command as one of several ranks: rank 0 does what one process would do, the others follow its jobs."""
    if place.rank:
        return follow_all(place, words.overrides)
    try:
        code = lead(words)
    except BaseException:
        with suppress(RunError):  # what went wrong here counts, not that nobody else came to hear it
            meeting(place, timeout=FAREWELL).end()
        raise
    meeting(place).end()
    return code


def work(directory: Path) -> Metrics:
    """The whole life of a rank that the agent started."""
    from llm_lab.modes.run import FACTS, read_state, stored_config

    place = placed()
    if place is None:
        raise LabError("llm_lab.worker is started by the launcher, with torchrun's variables")
    if place.rank:
        return follow(place)
    state = read_state(directory)
    facts: dict[str, Any] = {key: state[key] for key in FACTS if key in state}
    return lead(place, stored_config(directory), directory, facts=facts)


def _train(found: Meeting, config: DictConfig, directory: Path, *, facts: dict[str, Any]) -> Metrics:
    from llm_lab.modes.quiet import log_rank
    from llm_lab.modes.train import train

    log_rank(directory, found.place.rank)
    if not found.leads:
        _to_file(directory / "logs" / f"rank-{found.place.rank}.log")
    return train(config, directory, facts=facts, meeting=found)


def _to_file(path: Path) -> None:
    """Send what a rank other than the first prints to its log: one rank talks to the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
