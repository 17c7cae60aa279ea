"""Questions by split, so that no context stands in two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from llm_lab.data.shares import Fold, left_open, split_of, told_split
from llm_lab.data.source import SPLITS, Source
from llm_lab.data.squad import Question
from llm_lab.data.staging import folded, key_of


def divide(
    asked: Iterable[tuple[Source, Question]],
    shares: Mapping[str, float],
    limit: int | None,
    fold: Fold = None,
) -> tuple[dict[str, list[Question]], dict[str, int]]:
    """Questions by split, with counts of those whose answers were moved, of duplicates in training and of leaks.

    A split that a source gives is not made another time; of contexts in two given splits the later keeps its own.
    """
    told = [(told_split(source.split, fold), one) for source, one in asked]
    shares = left_open(shares, {split for split, _ in told})
    splits: dict[str, list[Question]] = {split: [] for split in SPLITS}
    counts: Counter[str] = Counter({"moved": 0, "duplicates": 0, "leaks": 0})
    seen: set[tuple[int, str]] = set()
    owner: dict[int, str] = {}
    order = ("test", "val", "train")
    placed = [(split, key_of(folded(one.context)), one) for split, one in told]
    made = [
        (split_of(key, shares, fold=fold) if split in {None, "train"} else str(split), key, one)
        for split, key, one in placed
    ]
    for split, key, _ in sorted(made, key=lambda row: order.index(row[0])):
        owner.setdefault(key, split)
    for split, key, one in made:
        counts["moved"] += one.moved
        if owner[key] != split:
            counts["leaks"] += 1
        elif split == "train" and (key, one.question) in seen:
            counts["duplicates"] += 1
        else:
            seen.add((key, one.question))
            splits[split].append(one)
    return {split: _first(rows, limit) for split, rows in splits.items()}, dict(counts)


def _first(rows: list[Question], limit: int | None) -> list[Question]:
    """At most so many questions, by a hash, in their order."""
    if limit is None or len(rows) <= limit:
        return rows
    kept = sorted(range(len(rows)), key=lambda n: key_of(rows[n].id + rows[n].question))[:limit]
    return [rows[n] for n in sorted(kept)]


def texts_of(asked: Iterable[Question]) -> Iterator[str]:
    """What a tokenizer learns from: every question, every context once."""
    seen: set[int] = set()
    for one in asked:
        yield one.question
        if key_of(one.context) not in seen:
            seen.add(key_of(one.context))
            yield one.context
