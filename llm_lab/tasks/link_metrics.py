"""Metrics of link prediction; each takes the ranks of answers by name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from llm_lab.knowledge.ranking import Ranks
from llm_lab.tasks.rank_metrics import Kept, MeanOfRanks

Ties = Literal["realistic", "optimistic", "pessimistic"]
Side = Literal["both", "head", "tail"]


class LinkMetric(MeanOfRanks):
    """The mean of something over all questions.

    Args:
        ties: where an answer stands among those that score as it does: in their middle, before, or behind them.
        side: which end of a triple is asked for.
    """

    def __init__(self, *, ties: Ties = "realistic", side: Side = "both") -> None:
        super().__init__()
        self.ties, self.side = ties, side

    def update(self, *, ranks: Ranks, heads: Tensor) -> None:
        """Add ranks [N], and which of them are of heads [N]."""
        chosen: Tensor = getattr(ranks, self.ties)
        self.add(chosen if self.side == "both" else chosen[heads if self.side == "head" else ~heads])


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
        return ranks <= self.k


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


class Asked(Kept):
    """Every question of a split with the rank of its answer; relations count from R on where the head is asked."""

    names = ("index", "relations", "optimistic", "pessimistic", "losses")

    def compute(self) -> dict[str, Tensor]:
        """Each as one tensor, tails before heads, in the order of the triples."""
        whole = super().compute()
        order = torch.argsort(whole["index"], stable=True)
        return {name: value[order] for name, value in whole.items()}


def by_triple(ranks: Ranks) -> dict[str, Tensor]:
    """What each triple counts, as `llm_lab.results.rows` has it: ranks [2 N] of both questions of each."""
    found = ranks.realistic
    worth = {"mrr": 1 / found, **{f"hits@{k}": (found <= k).float() for k in (1, 3, 10)}}
    sums = {name: value.view(-1, 2).sum(1) for name, value in worth.items()}
    return {name: torch.stack([value, torch.full_like(value, 2.0)], -1) for name, value in sums.items()}
