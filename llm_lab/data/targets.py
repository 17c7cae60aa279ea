"""The labels of a prepared data set: their names, numbers, counts, and what is odd about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_lab.data.columns import Columns
from llm_lab.data.labels import sort_names
from llm_lab.data.spec import Problem
from llm_lab.data.staging import Staging
from llm_lab.errors import DataError

MOST_LABELS = 10_000


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Names in the order of the model's outputs, training rows of each, and warnings for the report."""

    problem: Problem
    names: tuple[str, ...]
    counts: tuple[int, ...]
    warnings: list[str]

    @classmethod
    def of(
        cls,
        staging: Staging,
        *,
        problem: Problem,
        listed: Sequence[str] | None,
        columns: Columns,
        places: Mapping[str, str],
    ) -> Targets:
        """Find the labels of the kept rows.

        Args:
            staging: the settled rows.
            problem: what a target is.
            listed: names that the configuration gives, in its order; a label per column counts as a list.
            columns: name the label.
            places: file and line at which each cell of the label column first stands.

        Raises:
            DataError: all training rows have the same label, there are too many labels, or training lacks one that
                stands in another split and is not listed.
        """
        if problem == "regression":
            return cls(problem=problem, names=(columns.label[0],), counts=(), warnings=[])
        if problem == "transcript":
            return cls(problem=problem, names=(), counts=(), warnings=[])
        found = _counts(staging.label_counts(), problem)
        if len(found) > MOST_LABELS:
            raise DataError(
                f"{len(found)} labels in column `{columns.label[0]}`: is data.problem=regression meant?"
            )
        train = _counts(staging.label_counts("train"), problem)
        listed = columns.label if listed is None and len(columns.label) > 1 else listed
        names = tuple(listed) if listed is not None else sort_names(list(found))
        if problem == "single_label" and len(train) == 1:
            raise DataError(
                f"every training row has the label `{next(iter(train))}`: there is nothing to learn"
            )
        missing = [name for name in names if train and not train[name]]
        if listed is None:
            _check_trained(staging.label_counts("train", limited=False), missing, places, problem)
        warnings = [f"no training row has the label `{name}`" for name in missing]
        return cls(
            problem=problem, names=names, counts=tuple(train[name] for name in names), warnings=warnings
        )

    def encode(self, label: str) -> Any:
        """Number of a label, numbers of several, or the value itself."""
        if self.problem == "regression":
            return float(label)
        if self.problem == "multi_label":
            return sorted(self.names.index(name) for name in json.loads(label))
        return self.names.index(label)

    def value(self, label: str) -> Any:
        """What a transform sees: a name, a list of names, or a number."""
        if self.problem == "regression":
            return float(label)
        return json.loads(label) if self.problem == "multi_label" else label


def _check_trained(
    trained: dict[str, int], missing: Sequence[str], places: Mapping[str, str], problem: Problem
) -> None:
    """Refuse a label that no training row has, whatever a limit leaves of them."""
    known = _counts(trained, problem)
    unseen = [name for name in missing if name not in known]
    if unseen:
        cells = (place for cell, place in places.items() if unseen[0] in _counts({cell: 1}, problem))
        more = f", nor {len(unseen) - 1} others" if unseen[1:] else ""
        raise DataError(
            f"no training row has the label `{unseen[0]}` ({next(cells)}){more}; data.labels lists what may be missing"
        )


def _counts(rows: dict[str, int], problem: Problem) -> Counter[str]:
    if problem == "single_label":
        return Counter(rows)
    counts: Counter[str] = Counter()
    for cell, count in rows.items():
        for name in json.loads(cell):
            counts[name] += count
    return counts
