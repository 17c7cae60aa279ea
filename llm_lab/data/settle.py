"""Decide the fate of staged rows: contradictions, duplicates, leaks across splits, the limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llm_lab.data.staging import KEPT, Staging
from llm_lab.errors import DataError

Fate = Literal["drop", "keep"]

CONFLICTING = "SELECT split, same FROM row GROUP BY split, same HAVING MIN(label) <> MAX(label)"
CONFLICTING_TEXTS = f"SELECT COUNT(*) FROM ({CONFLICTING})"  # noqa: S608 - a constant
CONFLICT = f"(split, same) IN ({CONFLICTING})"
DUPLICATE = """fate IS NULL AND EXISTS (
    SELECT 1 FROM row AS other WHERE other.split = row.split AND other.same = row.same
    AND other.label = row.label AND other.id < row.id AND other.fate IS NULL)"""
LEAK = """fate IS NULL AND split = ? AND EXISTS (
    SELECT 1 FROM row AS other WHERE other.fold = row.fold AND other.split = ? AND other.fate IS NULL)"""
TAKE_ONE = """
    UPDATE row SET split = ? WHERE made AND split = 'train' AND fold = (
        SELECT MIN(fold) FROM row WHERE made AND split = 'train' AND fate IS NULL AND label = (
            SELECT label FROM row WHERE made AND split = 'train' AND fate IS NULL
            GROUP BY label ORDER BY COUNT(*) DESC, label LIMIT 1))"""
BEYOND_LIMIT = """fate IS NULL AND id NOT IN (
    SELECT id FROM (
        SELECT id, ROW_NUMBER() OVER (PARTITION BY split ORDER BY nth > 1, (nth - 0.5) / total, same) AS place
        FROM (
            SELECT id, split, same,
                ROW_NUMBER() OVER (PARTITION BY split, label ORDER BY same, id) AS nth,
                COUNT(*) OVER (PARTITION BY split, label) AS total
            FROM row WHERE fate IS NULL))
    WHERE place <= ?)"""
LEAK_PAIRS = (("train", "val"), ("train", "test"), ("val", "test"))


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What is done with rows that should not be there.

    Attributes:
        conflicts: the same text with different labels in one split: ``drop`` all of them or ``keep`` them.
        duplicates: the same text with the same label in one split: keep the first or all.
        leaks: rows of a split that stand in a later one (train, val, test), case and spacing aside: taken
            from the earlier split, kept, or an ``error``.
        limit: most rows per split; one of each label first, then in proportion.
    """

    conflicts: Fate
    duplicates: Fate
    leaks: Fate | Literal["error"]
    limit: int | None


def settle(staging: Staging, policy: Policy) -> dict[str, Any]:
    """Divide the rows, mark those that do not stay, and return the counts that the report shows.

    Raises:
        DataError: there are leaks, and the policy makes them an error.
    """
    made = staging.divide()
    counts = {
        "conflicts": _deal(staging, "conflict", CONFLICT, policy.conflicts),
        "conflicting_texts": staging.execute(CONFLICTING_TEXTS).fetchone()[0],
        "duplicates": _deal(staging, "duplicate", DUPLICATE, policy.duplicates),
        "leaks": _leaks(staging, policy.leaks),
    }
    for split in made if staging.fold is None else []:  # every row is to be in one fold only
        _fill(staging, split, len(made))
    if policy.limit is not None:
        _mark(staging, "limit", BEYOND_LIMIT, policy.limit)
    return counts


def _mark(staging: Staging, fate: str, condition: str, *values: Any) -> None:
    staging.execute(f"UPDATE row SET fate = '{fate}' WHERE {condition}", *values)  # noqa: S608 - ours


def _deal(staging: Staging, fate: str, condition: str, policy: str) -> dict[str, int]:
    counts = staging.count(condition)
    if policy == "drop":
        _mark(staging, fate, condition)
    return counts


def _leaks(staging: Staging, policy: str) -> dict[str, int]:
    counts = {f"{split} in {later}": _total(staging.count(LEAK, split, later)) for split, later in LEAK_PAIRS}
    counts = {name: count for name, count in counts.items() if count}
    if counts and policy == "error":
        found = ", ".join(f"{count} rows of {name}" for name, count in counts.items())
        raise DataError(f"splits leak: {found}; data.leaks=drop takes them from the earlier split")
    if policy == "drop":
        for split, later in reversed(LEAK_PAIRS):
            _mark(staging, "leak", LEAK, split, later)
    return counts


def _total(counts: Mapping[str, int]) -> int:
    return sum(counts.values())


def _fill(staging: Staging, split: str, made: int) -> None:
    """Give a share that caught no row a training text of the most frequent label: for small tables."""
    sizes = staging.count(KEPT)
    if sizes.get(split) or sizes.get("train", 0) <= made:
        return
    staging.execute(TAKE_ONE, split)
