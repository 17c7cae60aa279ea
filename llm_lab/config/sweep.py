"""Words that stand for many jobs under --multirun: `lr=1e-3,1e-4`, `choice()`, `range()`, `glob()`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from llm_lab.config.compose import Composed, compose
from llm_lab.config.fault import Fault
from llm_lab.config.loader import open_loader
from llm_lab.config.run_hash import run_hash
from llm_lab.config.search_path import conf_root, layers
from llm_lab.config.words import OUTSIDE
from llm_lab.sweeps.space import as_words

MOST_VALUES = 10_000  # of one word
JOBS_CHECKED = 32  # up to so many jobs each is composed and checked; beyond, each value of each word once


@dataclass(kw_only=True)
class Plan:
    """The jobs that a command line stands for, the words for Hydra, what was wrong, and what is swept over."""

    jobs: list[Composed]
    overrides: list[str]
    multirun: bool = False
    faults: list[Fault] = field(default_factory=list)
    swept: list[Override] = field(default_factory=list)


def plan(words: Sequence[str], *, multirun: bool = False, **places: Any) -> Plan:
    """Compose every job; `places` are `compose`'s own arguments.

    A config that sets `hydra.mode: MULTIRUN` is a sweep without the flag, as in Hydra.
    """
    first = compose([] if multirun else words, **places)
    if not multirun and not _is_multirun(first):
        return Plan(jobs=[first], overrides=first.overrides)
    root = places.get("root") or conf_root()
    loader = open_loader(root, layers(root=root, cwd=places.get("cwd")), config_dir=places.get("config_dir"))
    words = [*words, *_sweeper(words, root, places)]
    overrides, faults = _parsed(words, OverridesParser.create(config_loader=loader))
    base = compose([str(item.input_line) for item in overrides if not item.is_sweep_override()], **places)
    try:
        from_file = as_words(OmegaConf.select(base.config, "hydra.sweeper.params") or {})
    except OmegaConfBaseException as error:
        fault = Fault(key="hydra.sweeper.params", message=str(error.__cause__ or error).splitlines()[0])
        return Plan(jobs=[], overrides=[], multirun=True, faults=[fault])
    swept, more = _parsed(from_file, OverridesParser.create(config_loader=loader))
    typed = {item.key_or_group for item in overrides}
    swept = [item for item in swept if item.key_or_group not in typed]  # the command line wins
    if endless := [*_endless([*swept, *overrides])]:
        return Plan(jobs=[base], overrides=[], multirun=True, faults=endless)
    axes = [list(_values(item)) for item in [*swept, *overrides]]
    jobs = [compose(job, **places) for job in _jobs(axes)]
    faults += [*more, *_one_directory(jobs)]
    several = [item for item in [*swept, *overrides] if item.is_sweep_override()]
    words = _for_hydra(overrides, jobs)
    return Plan(jobs=jobs, overrides=words, multirun=True, faults=faults, swept=several)


def spread(words: Sequence[str], faults: list[Fault], **places: Any) -> list[list[str]]:
    """The words of every combination of values, the first axis turning slowest; faults are collected."""
    root = places.get("root") or conf_root()
    loader = open_loader(root, layers(root=root, cwd=places.get("cwd")), config_dir=places.get("config_dir"))
    overrides, wrong = _parsed(words, OverridesParser.create(config_loader=loader))
    faults += [*wrong, *_endless(overrides)]
    if faults:
        return []
    return [list(job) for job in itertools.product(*(list(_values(item)) for item in overrides))]


def _sweeper(words: Sequence[str], root: Path, places: dict[str, Any]) -> list[str]:
    """Our grid in the place of Hydra's own sweeper, where nobody chose one.

    Not in the root config, whose choices under `hydra/` no experiment could override.
    """
    group, ours = "hydra/sweeper", "grid"
    if not (root / f"{group}/{ours}.yaml").is_file() or any(word.startswith(f"{group}=") for word in words):
        return []
    chosen = [word for word in words if word.lstrip("+").partition("=")[0] in OUTSIDE]
    config = compose(chosen, **places).config
    choices: Any = OmegaConf.select(config, "hydra.runtime.choices") or {}
    return [f"{group}={ours}"] if choices.get(group, "basic") == "basic" else []


def _one_directory(jobs: Sequence[Composed]) -> Iterator[Fault]:
    """Jobs that differ only in what is no content would share a directory, and all but one be left out."""
    first: dict[str, Composed] = {}
    for job in jobs:
        if job.faults or "run_hash" not in str(_sweep_node(job).get("subdir")):
            continue
        other = first.setdefault(run_hash(job.config), job)
        if other is not job:
            ours = [word for word in job.overrides if word not in other.overrides]
            theirs = [word for word in other.overrides if word not in job.overrides]
            yield Fault(
                key="hydra.sweep.subdir",
                message=f"`{' '.join(theirs)}` and `{' '.join(ours)}` compute the same, in one directory",
                where=" ".join(ours),
                suggestion="number the jobs to run both: 'hydra.sweep.subdir=${hydra.job.num}'",
            )


def _sweep_node(job: Composed) -> dict[str, Any]:
    raw: Any = OmegaConf.to_container(job.config.hydra.sweep, resolve=False)
    return dict(raw)


def _is_multirun(composed: Composed) -> bool:
    return OmegaConf.select(composed.config, "hydra.mode") == RunMode.MULTIRUN


def _parsed(words: Sequence[str], parser: OverridesParser) -> tuple[list[Override], list[Fault]]:
    """The words that Hydra's grammar reads; each of the others is told when the jobs are composed."""
    parsed, faults = list[Override](), list[Fault]()
    for word in words:
        try:
            parsed += parser.parse_overrides([word])
        except HydraException as error:
            key = word.lstrip("+~").split("=")[0]
            faults.append(
                Fault(key=key, message=f"not an override: {str(error).splitlines()[0]}", where=word)
            )
    return parsed, faults


def _endless(overrides: Sequence[Override]) -> Iterator[Fault]:
    """Ranges that nobody could run through."""
    for item in overrides:
        value = item.value() if item.is_sweep_override() else None
        if not isinstance(value, RangeSweep) or value.start is None or value.stop is None or not value.step:
            continue
        count = (value.stop - value.start) / value.step
        if count > MOST_VALUES:
            yield Fault(
                key=item.key_or_group,
                message=f"a range of {count:.0f} values, of which {MOST_VALUES} are the most",
                where=str(item.input_line),
                suggestion="a search draws from int(interval(a, b)): hydra/sweeper=optuna",
            )


def _values(override: Override) -> Iterator[str]:
    """The words of the single jobs; an interval stands for its two ends."""
    if not override.is_sweep_override():
        yield str(override.input_line)
        return
    key, value = override.get_key_element(), override.value()
    texts = (value.start, value.end) if isinstance(value, IntervalSweep) else override.sweep_string_iterator()
    yield from (f"{key}={text}" for text in texts)


def _jobs(axes: list[list[str]]) -> list[list[str]]:
    """All combinations where they are few; else the first job, and one more for each further value."""
    axes = [axis for axis in axes if axis]
    count = 1
    for axis in axes:
        count *= len(axis)
    if count <= JOBS_CHECKED:
        return [list(job) for job in itertools.product(*axes)]
    first = [axis[0] for axis in axes]
    others = [
        [*first[:place], value, *first[place + 1 :]] for place, axis in enumerate(axes) for value in axis[1:]
    ]
    return [first, *others]


def _for_hydra(overrides: Sequence[Override], jobs: Sequence[Composed]) -> list[str]:
    """The sweep's words as Hydra must get them: with `++` where a job needed it for a legal key."""
    added = {word[2:].partition("=")[0] for job in jobs for word in job.overrides if word.startswith("++")}
    single = {word.lstrip("+").partition("=")[0]: word for job in jobs[:1] for word in job.overrides}
    words = []
    for item in overrides:
        word, key = str(item.input_line), item.key_or_group
        if not item.is_sweep_override():
            words.append(single.get(key, word))
        else:
            words.append(f"++{word}" if key in added and not word.startswith("+") else word)
    if jobs and jobs[0].config and not any(word.startswith("hydra.sweep.dir=") for word in words):
        words.append(_sweep_folder(jobs[0], words))
    return words


def _sweep_folder(job: Composed, words: Sequence[str]) -> str:
    """The sweep's directory as a literal: the jobs of a sweep, wherever they run, must agree on it."""
    config = job.config.copy()
    with open_dict(config.hydra):
        config.hydra.overrides.task = [word for word in words if not word.lstrip("+~").startswith("hydra")]
    folder = str(OmegaConf.select(config, "hydra.sweep.dir")).replace("'", r"\'")
    return f"hydra.sweep.dir='{folder}'"
