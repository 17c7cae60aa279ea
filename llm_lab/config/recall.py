"""Configs that this command has composed before: a sweep's jobs are checked first and run later."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from llm_lab.config.compose import Composed

KEPT = 64  # a composed config and its origins take about a megabyte
_known: dict[frozenset[str], Composed] = {}


@contextmanager
def remembering(jobs: Iterable[Composed]) -> Iterator[None]:
    """Within one command, let its jobs be recalled by their words; afterwards files may have changed."""
    for composed in jobs:
        remember(composed)
    try:
        yield
    finally:
        _known.clear()


def remember(composed: Composed) -> None:
    """Keep a faultless config, in place of the oldest one where there are many."""
    if composed.faults or not composed.config:
        return
    while len(_known) >= KEPT:
        _known.pop(next(iter(_known)))
    _known[_key(composed.overrides)] = composed


def recall(words: Iterable[str]) -> Composed | None:
    """A copy of the config that these words composed before; None where nobody remembers."""
    found = _known.get(_key(words))
    return None if found is None else dataclasses.replace(found, config=copy.deepcopy(found.config))


def _key(words: Iterable[str]) -> frozenset[str]:
    """Hydra's own words are no part of what a job computes."""
    return frozenset(word for word in words if not word.lstrip("+~").startswith("hydra"))
