"""A small network over the samples of a signal themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from llm_lab.models.tower import Tokens, Tower, node_of

STRIDE = 4


class Wave(Tower):
    """Strided convolutions over time (after Dai et al. 2017, https://arxiv.org/abs/1610.00087), each a quarter as long.

    Args:
        column: of the data, with ``features: waveform``.
        widths: channels of each layer.
        kernel: samples that a filter sees.
        dropout: between the layers.
        freeze: whether its weights stay as they are.
    """

    def __init__(
        self,
        *,
        column: Mapping[str, Any],
        widths: Sequence[int] = (16, 32, 64, 64),
        kernel: int = 9,
        dropout: float = 0.0,
        freeze: bool = False,
    ) -> None:
        del column
        super().__init__()
        self.settings = {"widths": list(widths), "kernel": kernel, "dropout": dropout, "freeze": freeze}
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(a, b, kernel, STRIDE, kernel // 2, bias=False),
                nn.BatchNorm1d(b),
                nn.GELU(),
                nn.Dropout(dropout),
            )
            for a, b in pairwise([1, *widths])
        )
        self.width = widths[-1]
        self.freeze(frozen=freeze)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, T / 4^L, D] from samples [B, T] with their mask."""
        keep = torch.ones(values.shape, dtype=torch.int64, device=values.device) if mask is None else mask
        states = values.unsqueeze(1)
        for layer in self.layers:
            states = layer(states * keep[:, None])
            keep = keep[:, ::STRIDE]
        return Tokens(states.transpose(1, 2), keep)

    def saved(self) -> dict[str, Any]:
        """See `Tower.saved`."""
        return node_of(self, **self.settings)
