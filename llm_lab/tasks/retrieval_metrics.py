"""Metrics of retrieval; each takes the ranks of both directions by name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric

Direction = Literal["forward", "back"]


class RankMetric(Metric):
    """The mean of something over all queries of a direction.

    Args:
        direction: ``forward`` finds what belongs to an anchor, ``back`` the anchor of a positive.
    """

    full_state_update = False
    total: Tensor
    queries: Tensor

    def __init__(self, *, direction: Direction = "forward") -> None:
        super().__init__()
        self.direction = direction
        self.add_state("total", default=torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("queries", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, *, forward: Tensor, back: Tensor) -> None:
        """Add ranks, from 1, of the best right text of each query."""
        ranks = back if self.direction == "back" else forward
        self.total += self.worth(ranks).double().sum()
        self.queries += ranks.numel()

    def worth(self, ranks: Tensor) -> Tensor:
        """What each rank counts."""
        raise NotImplementedError

    def compute(self) -> Tensor:
        """The mean."""
        return (self.total / self.queries.clamp(min=1)).float()


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
        return 1 / ranks.double()


class Embeddings(Metric):
    """Keeps what `llm_lab.tasks.ranking.pairs` needs of a split; `compute` gathers it from all ranks."""

    full_state_update = False
    names = ("anchors", "candidates", "anchor", "text", "owner", "positive")

    def __init__(self) -> None:
        super().__init__(compute_on_cpu=True)
        for name in self.names:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, **values: Tensor) -> None:
        """Add a batch."""
        for name in self.names:
            getattr(self, name).append(values[name])

    def compute(self) -> dict[str, Tensor]:
        """Each as one tensor on the CPU."""
        return {name: self._joined(getattr(self, name)) for name in self.names}

    @staticmethod
    def _joined(parts: list[Tensor] | Tensor) -> Tensor:
        return (parts if isinstance(parts, Tensor) else torch.cat(parts)).cpu()
