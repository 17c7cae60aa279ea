"""Scores of whole entities, of the right type from the first word to the last: those of seqeval and conlleval."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from llm_lab.tasks.language_metrics import Share

Found = AbstractSet[Any]


class EntityMetric(Metric):
    """Counts entities; the counts of batches and ranks add up."""

    full_state_update = False
    right: Tensor
    told: Tensor
    true: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("right", "told", "true"):
            self.add_state(name, default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, told: Found, true: Found) -> None:
        """Add the entities that were told of some sentences, and those that are there."""
        self.right += len(told & true)
        self.told += len(told)
        self.true += len(true)


class EntityPrecision(EntityMetric):
    """Share of the entities told that are there."""

    def compute(self) -> Tensor:
        """The share; 0 where none is told."""
        return self.right / self.told.clamp(min=1)


class EntityRecall(EntityMetric):
    """Share of the entities there are that are told."""

    def compute(self) -> Tensor:
        """The share; 0 where there is none."""
        return self.right / self.true.clamp(min=1)


class EntityF1(EntityMetric):
    """Harmonic mean of precision and recall over all types together (micro average)."""

    def compute(self) -> Tensor:
        """The mean; 0 where nothing is right."""
        return 2 * self.right / (self.told + self.true).clamp(min=1)


class WordAccuracy(Share):
    """Share of the words with the right tag."""

    def update(self, predicted: Tensor, labels: Tensor) -> None:
        """Add tags [N]."""
        self.count(predicted == labels)
