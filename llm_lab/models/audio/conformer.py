"""A small conformer: attention for what is far, convolution for what is near."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from llm_lab.models.audio.cnn import halved
from llm_lab.models.tower import Tokens, Tower, node_of


class Conformer(Tower):
    """Gulati et al. 2020 (https://arxiv.org/abs/2005.08100), with sinusoidal places and norms over channels.

    Args:
        column: of the data: ``mels``.
        width: of a token.
        layers: conformer blocks.
        heads: of attention.
        kernel: of the convolution over tokens, odd.
        halvings: convolutions that each halve the number of frames before the blocks.
        dropout: everywhere.
        freeze: whether its weights stay as they are.
    """

    def __init__(
        self,
        *,
        column: Mapping[str, Any],
        width: int = 96,
        layers: int = 2,
        heads: int = 4,
        kernel: int = 15,
        halvings: int = 2,
        dropout: float = 0.1,
        freeze: bool = False,
    ) -> None:
        super().__init__()
        self.settings = {
            "width": width, "layers": layers, "heads": heads, "kernel": kernel, "halvings": halvings,
            "dropout": dropout, "freeze": freeze,
        }  # fmt: skip
        self.width = width
        sizes = (int(column["mels"]), *[width] * halvings)
        self.reduce = nn.ModuleList(nn.Conv1d(a, b, 3, 2, 1) for a, b in pairwise(sizes))
        self.layers = nn.ModuleList(Layer(width, heads, kernel, dropout) for _ in range(layers))
        self.freeze(frozen=freeze)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, T / 2^halvings, D] from frames [B, T, mels] with their mask [B, T]."""
        keep = torch.ones(values.shape[:2], dtype=torch.int64, device=values.device) if mask is None else mask
        states = values.transpose(1, 2)
        for convolution in self.reduce:
            states = nn.functional.gelu(convolution(states * keep[:, None]))
            keep = halved(keep)
        states = states.transpose(1, 2)
        states = states + places(states.shape[1], self.width, states)
        for layer in self.layers:
            states = layer(states, keep)
        return Tokens(states, keep)

    def saved(self) -> dict[str, Any]:
        """See `Tower.saved`."""
        return node_of(self, **self.settings)


class Layer(nn.Module):
    """Half a hidden layer, attention, convolution, half a hidden layer, a norm."""

    def __init__(self, width: int, heads: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.before, self.after = hidden(width, dropout), hidden(width, dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.near_norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.near = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, width), nn.Dropout(dropout))
        self.last = nn.LayerNorm(width)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """[B, T, D] to the same."""
        states = states + self.before(states) / 2
        normed = self.attention_norm(states)
        seen, _ = self.attention(normed, normed, normed, key_padding_mask=mask == 0, need_weights=False)
        states = states + seen
        gated = nn.functional.glu(self.gate(self.near_norm(states)), dim=-1) * mask.unsqueeze(-1)
        states = states + self.out(self.near(gated.transpose(1, 2)).transpose(1, 2))
        return self.last(states + self.after(states) / 2)


def hidden(width: int, dropout: float) -> nn.Sequential:
    """A hidden layer, its norm first."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, 4 * width),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(4 * width, width),
    )


def places(length: int, width: int, like: Tensor) -> Tensor:
    """Sines and cosines of places [length, width] (Vaswani et al. 2017)."""
    steps = torch.arange(0, width, 2, device=like.device)
    angles = torch.arange(length, device=like.device)[:, None] / 10_000 ** (steps / width)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :width].to(like.dtype)
