"""Train what some words compose, unless a run of the same content is there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from llm_lab.assets.runs import finished, going_on, turn
from llm_lab.config.words import Words
from llm_lab.errors import RunError
from llm_lab.modes.launch import launch

RUN, THERE, RESUMED = "run", "there already", "resumed"
MANY = ("--multirun", "-m")


def trained(wanted: str, overrides: Sequence[str], *, words: Words, asker: str) -> tuple[Path, str]:
    """The run directory, and whether it was there already, made, or gone on with.

    Args:
        wanted: the hash of the run that the overrides compose.
        overrides: in the place of the command line's own.
        words: the command line.
        asker: who waits for it, told where another process is at work on it.

    Raises:
        RunError: no finished run with that hash under ./runs, although its training ended.
    """
    with turn(wanted, asker=asker):
        if run := finished(wanted):
            return run, THERE
        place = going_on(wanted)
        flags = tuple(flag for flag in words.hydra_flags if flag not in MANY)
        alone = dataclasses.replace(words, verb="train", hydra_flags=flags, multirun=False)
        launch(dataclasses.replace(alone, overrides=(*overrides, *place)))
        run = finished(wanted)
    if run is None:
        raise RunError(f"{asker}: its training ended, but no finished run in ./runs has the hash {wanted}")
    return run, RESUMED if place else RUN
