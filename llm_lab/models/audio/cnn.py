"""A small convolutional network over spectrograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from llm_lab.models.image.cnn import Stage
from llm_lab.models.tower import Tokens, Tower, node_of


def halved(mask: Tensor) -> Tensor:
    """A mask [B, T] for tokens that stand for two each: [B, T / 2], rounded up."""
    return nn.functional.pad(mask, (0, mask.shape[1] % 2)).view(len(mask), -1, 2).amax(dim=2)


class Cnn(Tower):
    """Convolutions over time and bands, each stage halving both; a token is a moment, its bands side by side.

    Args:
        column: of the data: ``mels``.
        widths: channels of each stage.
        width: of a token.
        dropout: of whole channels, between the stages.
        freeze: whether its weights stay as they are.
    """

    def __init__(
        self,
        *,
        column: Mapping[str, Any],
        widths: Sequence[int] = (16, 32, 64),
        width: int = 128,
        dropout: float = 0.0,
        freeze: bool = False,
    ) -> None:
        super().__init__()
        self.settings = {"widths": list(widths), "width": width, "dropout": dropout, "freeze": freeze}
        sizes = [1, *widths]
        self.stages = nn.ModuleList(Stage(a, b, dropout) for a, b in pairwise(sizes))
        bands = int(column["mels"])
        for _ in widths:
            bands = -(-bands // 2)
        self.project = nn.Sequential(nn.Linear(bands * sizes[-1], width), nn.GELU())
        self.width = width
        self.freeze(frozen=freeze)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, T', D] from frames [B, T, mels] with their mask [B, T]."""
        keep = torch.ones(values.shape[:2], dtype=torch.int64, device=values.device) if mask is None else mask
        states = values.unsqueeze(1)
        for stage in self.stages:
            states = stage(states, keep[:, None, :, None].to(states.dtype))
            keep = halved(keep)
        return Tokens(self.project(states.transpose(1, 2).flatten(2)), keep)

    def saved(self) -> dict[str, Any]:
        """See `Tower.saved`."""
        return node_of(self, **self.settings)
