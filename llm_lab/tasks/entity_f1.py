"""Scores of whole entities, of the right type from the first word to the last: those of seqeval and conlleval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from llm_lab.data.tags import parts
from llm_lab.tasks.language_metrics import Share
from llm_lab.tasks.rank_metrics import Kept

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


class EntityTypes(Metric):
    """Scores of each type by itself and their mean, as seqeval's report has them.

    Args:
        tags: what the model may tell; their types are counted.
    """

    full_state_update = False
    right: Tensor
    told: Tensor
    true: Tensor

    def __init__(self, tags: Sequence[str]) -> None:
        super().__init__()
        self.kinds = tuple(dict.fromkeys(kind for _, kind in map(parts, tags) if kind))
        for name in ("right", "told", "true"):
            zeros = torch.zeros(len(self.kinds), dtype=torch.int64)
            self.add_state(name, default=zeros, dist_reduce_fx="sum")

    def update(self, told: Found, true: Found) -> None:
        """Add the entities that were told of some sentences, and those that are there."""
        self.right += self._counted(told & true)
        self.told += self._counted(told)
        self.true += self._counted(true)

    def _counted(self, found: Found) -> Tensor:
        counts = Counter(kind for _, (kind, *_) in found)
        return torch.tensor([counts[kind] for kind in self.kinds], device=self.right.device)

    def compute(self) -> dict[str, Tensor]:
        """``precision/TYPE``, ``recall/TYPE``, ``f1/TYPE``, ``support/TYPE`` (entities there) and ``macro_f1``.

        A type that neither stands anywhere nor is told has no figures, and does not count for the mean.
        """
        columns = {
            "precision": self.right / self.told.clamp(min=1),
            "recall": self.right / self.true.clamp(min=1),
            "f1": 2 * self.right / (self.told + self.true).clamp(min=1),
            "support": self.true.float(),
        }
        seen = (self.told + self.true > 0).tolist()
        kinds = [(number, kind) for number, kind in enumerate(self.kinds) if seen[number]]
        found = {f"{name}/{kind}": column[n] for n, kind in kinds for name, column in columns.items()}
        return {**found, "macro_f1": columns["f1"].sum() / max(1, len(kinds))}


class Sentences(Kept):
    """How many entities of each sentence were told, are there, and are right."""

    names = ("index", "right", "told", "true")

    def count(self, index: Tensor, *, told: Found, true: Found) -> None:
        """Add sentences of these numbers [B]; entities go with the place of their sentence among them."""
        sets = {"right": told & true, "told": told, "true": true}
        places = {name: [place for place, _ in found] for name, found in sets.items()}
        counts = {
            name: torch.bincount(torch.tensor(some, dtype=torch.int64), minlength=len(index)).to(index.device)
            for name, some in places.items()
        }
        self.update(index=index, **counts)

    def parts(self) -> dict[str, Tensor]:
        """Numerators and denominators [N, 2] of each metric, in the order of the sentences."""
        found = self.compute()
        order = found["index"].flatten().argsort()  # of one sentence torchmetrics makes a scalar
        right, told, true = (found[name].flatten()[order] for name in ("right", "told", "true"))
        ratios = {"f1": (2 * right, told + true), "precision": (right, told), "recall": (right, true)}
        return {name: torch.stack(both, dim=-1) for name, both in ratios.items()}


class WordAccuracy(Share):
    """Share of the words with the right tag."""

    def update(self, predicted: Tensor, labels: Tensor) -> None:
        """Add tags [N]."""
        self.count(predicted == labels)
