"""Encoders of numbers and categories: a token per column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from llm_lab.models.tower import Tokens, Tower, all_tokens, node_of


class Numbers(Tower):
    """Each number as a token of its own (Gorishniy et al. 2021): a direction per column, scaled by the value.

    Args:
        column: of the data: ``columns``.
        width: of a token.
    """

    def __init__(self, *, column: Mapping[str, Any], width: int = 64) -> None:
        super().__init__()
        count = len(column["columns"])
        self.width = width
        self.scale, self.shift, self.absent = (
            nn.Parameter(torch.randn(count, width) / width**0.5) for _ in range(3)
        )
        self.mix = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, N, D] from values and marks [B, 2 N]."""
        numbers, there = values.unsqueeze(-1).chunk(2, dim=1)
        return all_tokens(self.mix(numbers * self.scale + self.shift + (1 - there) * self.absent))

    def saved(self) -> dict[str, Any]:
        """See `Tower.saved`."""
        return node_of(self, width=self.width)


class Categories(Tower):
    """Each value as a token from a table of its column.

    Args:
        column: of the data: ``values``.
        width: of a token.
    """

    starts: Tensor

    def __init__(self, *, column: Mapping[str, Any], width: int = 64) -> None:
        super().__init__()
        self.width = width
        sizes = [len(values) + 1 for values in column["values"]]
        self.register_buffer("starts", torch.tensor([sum(sizes[:n]) for n in range(len(sizes))]))
        self.table = nn.Embedding(max(sum(sizes), 1), width)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, N, D] from numbers of values [B, N]."""
        return all_tokens(self.table(values + self.starts))

    def saved(self) -> dict[str, Any]:
        """See `Tower.saved`."""
        return node_of(self, width=self.width)
