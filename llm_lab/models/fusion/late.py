"""Late fusion: each modality is a vector before they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from llm_lab.models.fusion.fusion import Fusion, stacked
from llm_lab.models.tower import Tokens


class Concatenation(Fusion):
    """Vectors side by side, then one hidden layer.

    Args:
        names: of the inputs.
        width: of their tokens.
        dropout: behind the hidden layer.
    """

    def __init__(self, *, names: Sequence[str], width: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.names, self.width = list(names), width
        self.mix = nn.Sequential(nn.Linear(len(self.names) * width, width), nn.GELU(), nn.Dropout(dropout))

    def forward(self, tokens: Mapping[str, Tokens]) -> Tensor:
        """See `Fusion`."""
        return self.mix(stacked(tokens, self.names).flatten(1))


class Weighted(Fusion):
    """A mean with one learned weight for each modality: says at a glance which one counts.

    Args:
        names: of the inputs.
        width: of their tokens.
    """

    def __init__(self, *, names: Sequence[str], width: int) -> None:
        super().__init__()
        self.names, self.width = list(names), width
        self.project = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.GELU()) for _ in self.names)
        self.weights = nn.Parameter(torch.zeros(len(self.names)))

    def forward(self, tokens: Mapping[str, Tokens]) -> Tensor:
        """See `Fusion`."""
        vectors = stacked(tokens, self.names).unbind(1)
        own = torch.stack([part(one) for part, one in zip(self.project, vectors, strict=True)], dim=1)
        return (own * self.weights.softmax(0)[:, None]).sum(dim=1)


class Gated(Fusion):
    """Gated multimodal units (Arevalo et al. 2017, https://arxiv.org/abs/1702.01992): all decide how much of each.

    Args:
        names: of the inputs.
        width: of their tokens.
    """

    def __init__(self, *, names: Sequence[str], width: int) -> None:
        super().__init__()
        self.names, self.width = list(names), width
        self.project = nn.ModuleList(nn.Linear(width, width) for _ in self.names)
        self.gates = nn.Linear(len(self.names) * width, len(self.names) * width)

    def forward(self, tokens: Mapping[str, Tokens]) -> Tensor:
        """See `Fusion`."""
        vectors = stacked(tokens, self.names)
        own = torch.stack(
            [part(one).tanh() for part, one in zip(self.project, vectors.unbind(1), strict=True)], dim=1
        )
        gates = self.gates(vectors.flatten(1)).view_as(vectors)
        gates = gates.softmax(dim=1) if len(self.names) > 1 else gates.sigmoid()
        return (own * gates).sum(dim=1)


class Bilinear(Fusion):
    """Low-rank bilinear pooling (Kim et al. 2017, https://arxiv.org/abs/1610.04325): projections multiplied.

    Args:
        names: of the inputs.
        width: of their tokens.
        rank: of the products; None takes twice the width.
        dropout: before the last layer.
    """

    def __init__(
        self, *, names: Sequence[str], width: int, rank: int | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.names, self.width = list(names), width
        rank = rank or 2 * width
        self.project = nn.ModuleList(nn.Sequential(nn.Linear(width, rank), nn.Tanh()) for _ in self.names)
        self.direct = nn.Linear(
            len(self.names) * width, width
        )  # each by itself: a product alone learns slowly
        self.last = nn.Sequential(nn.Dropout(dropout), nn.Linear(rank, width))

    def forward(self, tokens: Mapping[str, Tokens]) -> Tensor:
        """See `Fusion`."""
        vectors = stacked(tokens, self.names)
        product: Tensor | None = None
        for part, one in zip(self.project, vectors.unbind(1), strict=True):
            product = part(one) if product is None else product * part(one)
        return nn.functional.gelu(self.last(product) + self.direct(vectors.flatten(1)))
