"""A small convolutional network for small pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from llm_lab.models.tower import Tokens, Tower, all_tokens, node_of

LOW = -1.0  # below whatever two GELUs add up to: no maximum is taken from there


class Cnn(Tower):
    """Stages of two 3 x 3 convolutions with a shortcut, each of which halves the sides; tokens are the places left.

    Args:
        column: of the data: ``channels``.
        widths: channels of each stage.
        dropout: of whole channels, between the stages.
        freeze: whether its weights stay as they are.
    """

    def __init__(
        self,
        *,
        column: Mapping[str, Any],
        widths: Sequence[int] = (32, 64, 128),
        dropout: float = 0.0,
        freeze: bool = False,
    ) -> None:
        super().__init__()
        self.settings = {"widths": list(widths), "dropout": dropout, "freeze": freeze}
        sizes = [int(column["channels"]), *widths]
        self.stages = nn.ModuleList(Stage(a, b, dropout) for a, b in pairwise(sizes))
        self.width = sizes[-1]
        self.freeze(frozen=freeze)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, H' W', D] from pixels [B, C, H, W]."""
        for stage in self.stages:
            values = stage(values)
        return all_tokens(values.flatten(2).transpose(1, 2))

    def saved(self) -> dict[str, Any]:
        """See `Tower.saved`."""
        return node_of(self, **self.settings)


class Stage(nn.Module):
    """Two convolutions, a shortcut around the second, and a maximum over squares of four."""

    def __init__(self, inward: int, width: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inward, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.GELU()
        )
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.GELU()
        )
        self.last = nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), nn.Dropout2d(dropout))

    def forward(self, values: Tensor, keep: Tensor | None = None) -> Tensor:
        """[B, C, H, W] to [B, D, H / 2, W / 2]; what ``keep`` [B, 1, H, 1] leaves out is as if it were not there."""
        if keep is None:
            values = self.first(values)
            return self.last(values + self.second(values))
        values = self.first(values * keep) * keep
        return self.last((values + self.second(values)).masked_fill(keep == 0, LOW))
