"""Say how far one run is above another, or one experiment above another over their seeds, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from llm_lab.config.nearest import did_you_mean
from llm_lab.config.words import Words
from llm_lab.errors import ConfigError
from llm_lab.modes.run import CONFIG

DIGITS = 4


def main(words: Words) -> int:
    """`llm_lab compare RUN|EXPERIMENT RUN|EXPERIMENT [--seeds N]`.

    An experiment, with overrides as in ``link_prediction?knowledge=umls&model=distmult``, stands for its run under each
    seed; one that is not there is trained.

    Raises:
        ConfigError: there is no such run and no such experiment.
        RunError: the two were not tested on the same rows.
    """
    one, other = words.positionals
    seeds = _seeds(words, [word for word in (one, other) if not _is_run(word)])
    if seeds and (_is_run(one) or _is_run(other)):
        seeds = seeds[:1]
    ours, theirs = _runs(one, seeds), _runs(other, seeds)
    from llm_lab.results.difference import differences

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("metric", "first", "second", "difference", "95 % interval", ""):
        table.add_column(name, justify="left" if name in {"metric", ""} else "right")
    for found in differences(ours, theirs):
        low, high = (f"{end:+.{DIGITS}f}" for end in (found.low, found.high))
        figures = [f"{value:.{DIGITS}f}" for value in (found.ours, found.theirs)]
        told = "" if found.shown else "none shown"
        table.add_row(found.metric, *figures, f"{found.value:+.{DIGITS}f}", f"{low} to {high}", told)
    print(f"first: {one}\nsecond: {other}")
    Console().print(table)
    over = f"seeds {', '.join(map(str, seeds))} and the test rows" if len(seeds) > 1 else "the test rows"
    print(f"paired bootstrap over {over}")
    return 0


def _is_run(word: str) -> bool:
    return word.startswith("run://") or (Path(word) / CONFIG).is_file()


def _runs(word: str, seeds: Sequence[int]) -> list[Path]:
    """The run directories that a word stands for, those of an experiment trained where they are not there."""
    from llm_lab import assets

    if not _is_run(word):
        name, mark, overrides = word.partition("?")
        given = f"{overrides}&" if mark else ""
        return [assets.resolve(f"run://experiment/{name}?{given}seed={seed}") for seed in seeds]
    return [assets.resolve(word) if word.startswith("run://") else Path(word)]


def _seeds(words: Words, asked: Sequence[str]) -> list[int]:
    """Seeds of experiments: as many as both have, or as were asked for."""
    from llm_lab.results.figures import experiments, names

    known = names()
    for word in asked:
        if word.partition("?")[0] not in known:
            near = did_you_mean(word.partition("?")[0], known)
            raise ConfigError(f"there is neither a run directory nor an experiment `{word}`; {near}")
    found = experiments([word.partition("?")[0] for word in asked]) if asked else []
    if not all(one.hashes for one in found):
        raise ConfigError(f"{' and '.join(asked)}: a sweep has no run to compare")
    common = sorted(set.intersection(*(set(one.hashes) for one in found))) if found else []
    wanted = words.flags.get("seeds")
    if wanted is None or not common:
        return common
    if not str(wanted).isdecimal() or int(str(wanted)) < 1:
        raise ConfigError(f"--seeds: a number from 1 is wanted, found {wanted}")
    return list(range(common[0], common[0] + int(str(wanted))))
