"""Metrics of link prediction; each takes the ranks of answers by name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from llm_lab.knowledge.ranking import Ranks

Ties = Literal["realistic", "optimistic", "pessimistic"]
Side = Literal["both", "head", "tail"]


class LinkMetric(Metric):
    """The mean of something over all questions.

    Args:
        ties: where an answer stands among those that score as it does: in their middle, before, or behind them.
        side: which end of a triple is asked for.
    """

    full_state_update = False
    total: Tensor
    questions: Tensor

    def __init__(self, *, ties: Ties = "realistic", side: Side = "both") -> None:
        super().__init__()
        self.ties, self.side = ties, side
        self.add_state("total", default=torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("questions", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, *, ranks: Ranks, heads: Tensor) -> None:
        """Add ranks [N], and which of them are of heads [N]."""
        chosen: Tensor = getattr(ranks, self.ties).double()
        if self.side != "both":
            chosen = chosen[heads if self.side == "head" else ~heads]
        self.total += self.worth(chosen).sum()
        self.questions += chosen.numel()

    def worth(self, ranks: Tensor) -> Tensor:
        """What each rank counts, float64."""
        raise NotImplementedError

    def compute(self) -> Tensor:
        """The mean."""
        return (self.total / self.questions.clamp(min=1)).float()


class Hits(LinkMetric):
    """Share of the questions whose answer is among the first ``k``.

    Args:
        k: how many are looked at.
        ties: see `LinkMetric`.
        side: see `LinkMetric`.
    """

    def __init__(self, *, k: int, ties: Ties = "realistic", side: Side = "both") -> None:
        super().__init__(ties=ties, side=side)
        self.k = k

    def worth(self, ranks: Tensor) -> Tensor:
        """One or zero."""
        return (ranks <= self.k).double()


class ReciprocalRank(LinkMetric):
    """Mean reciprocal rank (MRR)."""

    def worth(self, ranks: Tensor) -> Tensor:
        """One over the rank."""
        return 1 / ranks


class MeanRank(LinkMetric):
    """Mean rank."""

    def worth(self, ranks: Tensor) -> Tensor:
        """The rank."""
        return ranks


class Asked(Metric):
    """Keeps every question of a split with the ranks of its answer; `compute` gathers them from all ranks."""

    full_state_update = False
    names = ("index", "relations", "optimistic", "pessimistic", "losses")

    def __init__(self) -> None:
        super().__init__(compute_on_cpu=True)
        for name in self.names:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, **values: Tensor) -> None:
        """Add a batch: numbers of the triples, relations (from R on where the head is asked), ranks, losses."""
        for name in self.names:
            getattr(self, name).append(values[name])

    def compute(self) -> dict[str, Tensor]:
        """Each as one tensor, tails before heads, in the order of the triples."""
        parts = {name: getattr(self, name) for name in self.names}
        whole = {
            name: (one if isinstance(one, Tensor) else torch.cat(one)).cpu() for name, one in parts.items()
        }
        order = torch.argsort(whole["index"], stable=True)
        return {name: value[order] for name, value in whole.items()}
