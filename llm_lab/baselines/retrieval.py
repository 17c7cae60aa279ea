"""What the baselines of retrieval share: the distinct texts of a split, and what belongs together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, tensor

from llm_lab.tasks.metrics import collection


class TextPairs(NamedTuple):
    """As `llm_lab.tasks.ranking.Pairs`, with texts in place of their vectors."""

    queries: list[str]
    keys: list[str]
    row: Tensor
    column: Tensor

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> TextPairs:
        """From rows with ``anchor``, ``positive`` and ``negative``."""
        queries: list[str] = []
        keys: dict[str, int] = {}
        places: list[tuple[int, int]] = []
        for number, row in enumerate(rows):
            queries.append(row["anchor"])
            places += [(number, keys.setdefault(text, len(keys))) for text in row["positive"]]
            for text in row["negative"]:
                keys.setdefault(text, len(keys))
        first, second = tensor(places).T
        return cls(queries, list(keys), first, second)


def measure_ranks(metrics: Mapping[str, Any], forward: Tensor, back: Tensor) -> dict[str, float]:
    """The task's metrics of the ranks of both directions."""
    scores = collection(metrics)
    scores.update(forward=forward, back=back)
    return {name: float(value) for name, value in scores.compute().items()}
