"""Measure the experiments that have no figure under their hash yet, and write the table of all of them."""

from __future__ import annotations

import sys
from pathlib import Path

from filelock import FileLock

from llm_lab.assets.runs import finished
from llm_lab.config.words import Words
from llm_lab.errors import Interrupted, LabError, RunError
from llm_lab.modes import failure
from llm_lab.results.figures import Experiment, Figure, experiments, figure_of, missing, read
from llm_lab.results.page import page
from llm_lab.tracking.files import write_json, write_text

FOLDER, FIGURES, PAGE, LOCK = "docs", "results.json", "results.md", ".results.lock"


def main(words: Words) -> int:
    """`llm_lab results [--only NAMES] [--dry] [--output DIR]`.

    Raises:
        RunError: an experiment failed; the others were measured.
        Interrupted: Ctrl-C; what was measured is kept, the same command goes on.
    """
    folder = Path(str(words.flags.get("output", FOLDER)))
    only = [name for name in str(words.flags.get("only", "")).split(",") if name]
    found = experiments()
    chosen = experiments(only) if only else [one for one in found if one.entry.layer.scope == "ours"]
    figures = read(folder / FIGURES)
    for one, seed, digest in missing(chosen, figures):
        if run := finished(digest):
            figures[digest] = figure_of(run, name=one.name, seed=seed, metric=_metric(one))
    write(folder, found, figures)
    failed = [] if words.flags.get("dry") else _measure(chosen, figures, found, folder, words)
    left = [f"{one.name} seed={seed}" for one, seed, _ in missing(chosen, figures)]
    print(
        f"{folder / PAGE}: {len(chosen)} of {len(found)} experiments looked at"
        + (f"; without a figure: {', '.join(left)}" if left else "")
    )
    if failed:
        raise RunError("\n".join([f"{len(failed)} runs failed; the same command runs them again", *failed]))
    return 0


def _measure(
    chosen: list[Experiment], figures: dict[str, Figure], found: list[Experiment], folder: Path, words: Words
) -> list[str]:
    """Train what has no figure, one run after another; one line for each that failed."""
    from llm_lab.modes.once import trained

    failed = []
    for one, seed, digest in list(missing(chosen, figures)):
        overrides = (f"+experiment={one.name}", f"seed={seed}")
        sys.stdout.write(f"{' '.join(overrides)}\n")
        try:
            run, _ = trained(digest, overrides, words=words, asker=one.name)
        except Interrupted:
            raise Interrupted("interrupted; the same command goes on") from None
        except Exception as error:  # noqa: BLE001 - the other experiments are measured all the same
            if not isinstance(error, LabError):
                failure.report(error)
            failed.append(f"  {' '.join(overrides)}: {failure.describe(error)['message']}")
            continue
        figures[digest] = figure_of(run, name=one.name, seed=seed, metric=_metric(one))
        write(folder, found, figures)
    return failed


def _metric(one: Experiment) -> str:
    return str(one.expected.get("metric", "val/loss"))


def write(folder: Path, found: list[Experiment], figures: dict[str, Figure]) -> None:
    """The figures, and the page: of the shipped experiments and of a pack's that were measured.

    What another process has written since is taken over, so that two may measure at once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK):
        figures |= read(folder / FIGURES) | figures
        write_json(folder / FIGURES, dict(sorted(figures.items())))
        shown = [
            one
            for one in found
            if one.entry.layer.scope == "ours" or any(digest in figures for digest in one.hashes.values())
        ]
        write_text(folder / PAGE, page(shown, figures, folder=folder.resolve()))
