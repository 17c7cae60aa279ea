"""Retrieval by vectors that know nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from llm_lab.baselines.baseline import Baseline, Source
from llm_lab.baselines.retrieval import measure_ranks
from llm_lab.data.spec import DataSpec, Split


class Chance(Baseline):
    """Ranks drawn at random, which is what a model must be better than.

    Args:
        draws: how many times each row is ranked.
        seed: of the ranks.
    """

    def __init__(self, *, draws: int = 100, seed: int = 0) -> None:
        self.draws, self.seed = draws, seed

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """See `Baseline.evaluate`."""
        count = int(spec.sizes[split])
        chance = torch.Generator().manual_seed(self.seed)
        ranks = torch.randint(1, count + 1, (count * self.draws,), generator=chance)
        return measure_ranks(metrics, ranks, ranks)
