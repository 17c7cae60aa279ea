"""What each input of the data contributes, where a sweep went through their subsets: `+ablate=modalities`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_lab.errors import RunError
from llm_lab.results.contributions import Ablation, Estimate, Subset, ablation
from llm_lab.results.rows import Parts, read_rows
from llm_lab.sweeps.rows import Row
from llm_lab.sweeps.table import Table
from llm_lab.sweeps.values import SEED, stored_values
from llm_lab.tracking.formats import metric_name, number, signed

KEY = "data.inputs"
NOTHING = "baseline/majority/"
UNKNOWN = "–"
Runs = dict[Subset, dict[int, Row]]


def ablations(table: Table) -> list[Ablation]:
    """One for each metric that the runs kept by test row; empty where the sweep is over something else.

    Of several seeds those count that every subset has finished.
    """
    runs = _runs(table) if table.keys == (KEY,) else {}
    seeds = set.intersection(*(set(some) for some in runs.values())) if len(runs) > 1 else set()
    if not seeds:
        return []
    try:
        found = {
            some: [read_rows(by_seed[seed].run) for seed in sorted(seeds)] for some, by_seed in runs.items()
        }
    except RunError:  # label sets, say: nothing is kept of their rows
        return []
    if len({digest for kept in found.values() for digest, _ in kept}) > 1:
        return []
    parts = {some: [kept for _, kept in read] for some, read in found.items()}
    names = dict.fromkeys(name for kept in parts.values() for name in kept[0])
    return [_ablation(name, parts, next(iter(runs.values()))) for name in names]


def _ablation(
    metric: str, parts: Mapping[Subset, Sequence[Mapping[str, Parts]]], runs: Mapping[int, Row]
) -> Ablation:
    known = {
        some: [one[metric] for one in kept]
        for some, kept in parts.items()
        if all(metric in one for one in kept)
    }
    majority = [_metrics(row.run).get(f"{NOTHING}{metric}") for row in runs.values()]
    return ablation(metric, known, nothing=next((value for value in majority if value is not None), None))


def _runs(table: Table) -> Runs:
    """The finished runs by the inputs that their models had, and by seed."""
    runs: Runs = {}
    for row in table.rows:
        if row.state == "finished":
            config = stored_values(row.run)
            runs.setdefault(inputs_of(config), {})[int(config.get(SEED) or 0)] = row
    return runs


def inputs_of(config: Mapping[str, Any]) -> Subset:
    """The inputs of a run by its stored config: the chosen ones, else all columns that have a kind."""
    if config.get(KEY):
        return frozenset(json.loads(config[KEY]))
    keys = (key.split(".") for key in config if key.startswith("data.columns.") and key.endswith(".kind"))
    return frozenset(key[2] for key in keys)


def _metrics(run: Path) -> dict[str, float]:
    return dict(json.loads((run / "metrics.json").read_text(encoding="utf-8")))


def rows_of(found: Sequence[Ablation]) -> list[dict[str, str]]:
    """A table: a line per metric and input, without columns of which nothing is known.

    A metric from one input to another knows nothing of these two, since neither can be left out, and no Shapley values.
    """
    rows = [
        {
            "metric": metric_name(one.metric) if "/" not in one.metric else one.metric,
            "input": each.name,
            "Shapley value": told(each.shapley, signed),
            "lost without it": told(each.lost, signed),
            "with all inputs": told(
                one.subsets.get(frozenset(other.name for other in one.contributions)), number
            ),
            "it alone": told(each.alone, number),
        }
        for one in found
        for each in sorted(one.contributions, key=lambda each: -weight(each.shapley or each.lost))
        if each.shapley or each.lost or each.alone
    ]
    known = [name for name in (rows[0] if rows else ()) if any(row[name] != UNKNOWN for row in rows)]
    return [{name: row[name] for name in known} for row in rows]


def weight(one: Estimate | None) -> float:
    """By which inputs are ordered."""
    return -math.inf if one is None else abs(one.value)


def told(one: Estimate | None, show: Any) -> str:
    """A figure with its interval."""
    return UNKNOWN if one is None else f"{show(one.value)} ({show(one.low)} to {show(one.high)})"
