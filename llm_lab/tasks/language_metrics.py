"""Metrics of language models; each takes what it needs of the values that an objective offers by name."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import BinaryF1Score


class Perplexity(Metric):
    """The exponential of the mean loss in nats per target; of a masked LM over its masked tokens."""

    full_state_update = False
    nats: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("nats", default=torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, nats: Tensor) -> None:
        """Add losses [N]."""
        self.nats += nats.double().sum()
        self.total += nats.numel()

    def compute(self) -> Tensor:
        """Perplexity."""
        return (self.nats / self.total.clamp(min=1)).exp()


class Share(Metric):
    """How often something was right."""

    full_state_update = False
    right: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("right", "total"):
            self.add_state(name, default=torch.tensor(0), dist_reduce_fx="sum")

    def count(self, right: Tensor) -> None:
        """Add bools of any shape."""
        self.right += right.sum()
        self.total += right.numel()

    def compute(self) -> Tensor:
        """The share."""
        return self.right / self.total.clamp(min=1)


class TokenAccuracy(Share):
    """Share of the targets whose token is the likeliest."""

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add logits [N, V] and tokens [N]."""
        self.count(logits.argmax(dim=-1) == targets)


class PairAccuracy(Share):
    """Share of the pairs of sentences that were told right."""

    def update(self, pair_logits: Tensor, pair_labels: Tensor) -> None:
        """Add logits [B, 2] and labels [B]."""
        self.count(pair_logits.argmax(dim=-1) == pair_labels)


class DetectorAccuracy(Share):
    """Share of the tokens of which the discriminator knows whether they were replaced."""

    def update(self, detected: Tensor, replaced: Tensor) -> None:
        """Add logits [N] and bools [N]."""
        self.count((detected > 0) == replaced)


class DetectorF1(BinaryF1Score):
    """F1 of the replaced tokens."""

    def __init__(self) -> None:
        super().__init__(validate_args=False)

    def update(self, detected: Tensor, replaced: Tensor) -> None:
        """Add logits [N] and bools [N]."""
        super().update((detected > 0).long(), replaced.long())
