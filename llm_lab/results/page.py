"""`results.md`: a row per experiment, its figure beside baselines, what is published and what was expected."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_lab.results.figures import Experiment, Figure
from llm_lab.sweeps.seeds import mean
from llm_lab.tracking import formats, headline

COLUMNS = ("experiment", "data", "model", "metric", "figure", "seeds", "baselines", "published", "expected",
           "minutes", "date")  # fmt: skip
NOT_ABOUT = ("results.md", "log.md")  # pages that name every experiment
INTRO = """\
# Results

Made by `python -m llm_lab results` from `results.json`, which holds a figure for each run under the hash of its config.
A figure over several seeds is their mean with its 95 % t-interval, one of a single seed has the 95 % bootstrap interval
over the test rows in brackets, where there is one. Minutes are those of one run. An experiment whose config has changed
since it was measured has no figure until it is measured again. A baseline that is ahead of the experiment is bold.
"""

SWEEPS = """\
Sweeps have no row here but a table of their own, `sweep.html` and `sweep.csv` in the directory of the sweep. These
commands make it, and issued again run only what is missing:
"""


def page(found: Sequence[Experiment], figures: Mapping[str, Figure], *, folder: Path) -> str:
    """The whole page; `folder` is where it will lie."""
    rows = [_row(one, _of(one, figures), folder) for one in found if one.hashes]
    table = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    lines = [f"| {' | '.join(row)} |" for row in table]
    shown = [figure for one in found for figure in _of(one, figures)]
    where = sorted({f"{figure['machine']}; {figure['versions']}" for figure in shown})
    parts = [INTRO, "\n".join(lines)]
    if where:
        parts.append("Measured with " + " and with ".join(map(formats.markdown, where)) + ".")
    if sweeps := [one for one in found if not one.hashes]:
        lines = [f"- {_link(one, folder)}{_told_in(one, folder)}: {_command(one)}" for one in sweeps]
        parts.append("\n".join([SWEEPS, *lines]))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _of(one: Experiment, figures: Mapping[str, Figure]) -> list[Figure]:
    return [figures[digest] for digest in one.hashes.values() if digest in figures]


def _row(one: Experiment, measured: Sequence[Figure], folder: Path) -> tuple[str, ...]:
    metric = str(one.expected.get("metric", ""))
    seconds = [figure["seconds"] for figure in measured if figure["seconds"] is not None]
    seeds = (
        str(len(measured)) if len(measured) == len(one.hashes) else f"{len(measured)} of {len(one.hashes)}"
    )
    return (
        _link(one, folder),
        formats.markdown(one.data),
        formats.markdown(one.model),
        formats.markdown(metric),
        _figure(measured),
        seeds,
        _baselines(metric, measured),
        _published(one.expected.get("published")),
        _expected(one.expected, measured),
        formats.number(sum(seconds) / len(seconds) / 60, 1) if seconds else formats.MISSING,
        max((figure["date"] for figure in measured), default="") or formats.MISSING,
    )


def _link(one: Experiment, folder: Path) -> str:
    file = one.entry.layer.folder / "experiment" / f"{one.name}.yaml"
    path = Path(os.path.relpath(file, folder)).as_posix()
    return f"[{formats.markdown(one.name)}]({path})"


def _told_in(one: Experiment, folder: Path) -> str:
    """Link to the page beside this one that tells of a sweep, where there is one."""
    word = re.compile(rf"(?<!\w){re.escape(one.name)}(?!\w)")
    pages = [path for path in sorted(folder.glob("*.md")) if path.name not in NOT_ABOUT]
    told = next((path.name for path in pages if word.search(path.read_text(encoding="utf-8"))), None)
    return f" ([{told}]({told}))" if told else ""


def _command(one: Experiment) -> str:
    return f"`python -m llm_lab +experiment={one.name} --multirun`"


def value_of(measured: Sequence[Figure]) -> float | None:
    """The mean over the seeds; None where there is no figure."""
    values = [float(figure["value"]) for figure in measured if figure["value"] is not None]
    return mean(values).value if values else None


def _figure(measured: Sequence[Figure]) -> str:
    """The mean with its interval; of one seed the value with that over the test rows."""
    values = [float(figure["value"]) for figure in measured if figure["value"] is not None]
    if not values:
        return formats.MISSING
    one = mean(values)
    if one.half is not None:
        return f"{formats.number(one.value)} ± {formats.number(one.half)}"
    low, high = measured[0]["low"], measured[0]["high"]
    interval = (
        f" [{formats.number(low)}, {formats.number(high)}]" if low is not None and high is not None else ""
    )
    return f"{formats.number(one.value)}{interval}"


def _baselines(metric: str, measured: Sequence[Figure]) -> str:
    """Each with its figure, in bold where it is the better one."""
    reached = value_of(measured)
    told = []
    for name, value in (measured[0]["baselines"] if measured else {}).items():
        words = formats.markdown(f"{headline.BASELINES.get(name, name)} {formats.number(value)}")
        lower = formats.lower_is_better(metric)
        ahead = reached is not None and value is not None and (value < reached if lower else value > reached)
        told.append(f"**{words}**" if ahead else words)
    return ", ".join(told) or formats.MISSING


def _published(node: Any) -> str:
    """What others reached, `{value, source}` or the value alone."""
    if not isinstance(node, Mapping):
        return formats.number(node)
    source = node.get("source")
    return formats.number(node.get("value")) + (f" ({formats.markdown(source)})" if source else "")


def _expected(expected: Mapping[str, Any], measured: Sequence[Figure]) -> str:
    """The expected figure with its tolerance, and whether it was met."""
    if "value" not in expected:
        return formats.MISSING
    words = f"{formats.number(expected['value'])} ± {formats.number(expected.get('tolerance') or 0)}"
    value = value_of(measured)
    told = headline.verdict(expected, {str(expected.get("metric")): value})
    if value is None or told is None:
        return words
    better = told["text"].startswith("better")
    return f"{words}: {'better' if better else 'met' if told['kind'] == 'met' else '**missed**'}"
