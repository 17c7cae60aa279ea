"""Metrics of retrieval; each takes the ranks of both directions by name."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from llm_lab.tasks.rank_metrics import Kept, MeanOfRanks

Direction = Literal["forward", "back"]


class RankMetric(MeanOfRanks):
    """The mean of something over all queries of a direction.

    Args:
        direction: ``forward`` finds what belongs to an anchor, ``back`` the anchor of a positive.
    """

    def __init__(self, *, direction: Direction = "forward") -> None:
        super().__init__()
        self.direction = direction

    def update(self, *, forward: Tensor, back: Tensor) -> None:
        """Add ranks, from 1, of the best right text of each query."""
        self.add(back if self.direction == "back" else forward)


class Recall(RankMetric):
    """Share of the queries that have a right text among the first ``k``.

    Args:
        k: how many are looked at.
        direction: see `RankMetric`.
    """

    def __init__(self, *, k: int, direction: Direction = "forward") -> None:
        super().__init__(direction=direction)
        self.k = k

    def worth(self, ranks: Tensor) -> Tensor:
        """One or zero."""
        return ranks <= self.k


class ReciprocalRank(RankMetric):
    """Mean reciprocal rank (MRR) of the best right text."""

    def worth(self, ranks: Tensor) -> Tensor:
        """One over the rank."""
        return 1 / ranks


class Embeddings(Kept):
    """What `llm_lab.tasks.ranking.pairs` needs of a split."""

    names = ("anchors", "candidates", "anchor", "text", "owner", "positive")
