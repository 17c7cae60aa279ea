"""What fusion is: tokens of several modalities in, one vector per row out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from llm_lab.models.tower import Tokens


class Fusion(nn.Module, ABC):
    """Its constructor takes ``names`` (of the inputs) and ``width`` (of all their tokens); any number will do.

    What a row lacks is a placeholder token by the time it comes here.

    Attributes:
        width: of the vectors that come out.
    """

    width: int

    @abstractmethod
    def forward(self, tokens: Mapping[str, Tokens]) -> Tensor:
        """Vectors [B, width] from the tokens of each input."""


def stacked(tokens: Mapping[str, Tokens], names: Sequence[str]) -> Tensor:
    """Means over the tokens of each input: [B, N, D]."""
    return torch.stack([tokens[name].pooled() for name in names], dim=1)
