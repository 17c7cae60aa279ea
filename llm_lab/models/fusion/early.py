"""Fusion of tokens: modalities look at each other before they become one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from llm_lab.models.fusion.fusion import Fusion
from llm_lab.models.tower import Tokens


class CrossAttention(Fusion):
    """The tokens of each modality attend to those of all others, layer by layer (after LXMERT and ViLBERT, 2019).

    Args:
        names: of the inputs.
        width: of their tokens.
        layers: how often they look.
        heads: of attention.
        dropout: of attention and hidden layers.
    """

    def __init__(
        self, *, names: Sequence[str], width: int, layers: int = 1, heads: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.names, self.width = list(names), width
        self.layers = nn.ModuleList(
            nn.ModuleDict({name: Look(width, heads, dropout) for name in self.names}) for _ in range(layers)
        )
        self.mix = nn.Sequential(nn.Linear(len(self.names) * width, width), nn.GELU(), nn.Dropout(dropout))

    def forward(self, tokens: Mapping[str, Tokens]) -> Tensor:
        """See `Fusion`."""
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict)  # noqa: S101 - torch's lists have no type of their parts
            others = {name: [one for one in self.names if one != name] or [name] for name in self.names}
            tokens = {name: layer[name](tokens[name], joined(tokens, others[name])) for name in self.names}
        return self.mix(torch.cat([tokens[name].pooled() for name in self.names], dim=1))


class Look(nn.Module):
    """Attention of tokens to other ones, and a hidden layer; norms first."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.hidden = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )

    def forward(self, own: Tokens, others: Tokens) -> Tokens:
        """Tokens as many as ``own``."""
        keys = self.norms[1](others.states)
        seen, _ = self.attention(
            self.norms[0](own.states), keys, keys, key_padding_mask=others.mask == 0, need_weights=False
        )
        states = own.states + seen
        return Tokens(states + self.hidden(self.norms[2](states)), own.mask)


class Transformer(Fusion):
    """One transformer over the tokens of all modalities, each marked by a vector of its own (ViLT, Kim et al. 2021).

    Args:
        names: of the inputs.
        width: of their tokens.
        layers: of the transformer.
        heads: of attention.
        dropout: of attention and hidden layers.
    """

    def __init__(
        self, *, names: Sequence[str], width: int, layers: int = 2, heads: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.names, self.width = list(names), width
        self.kinds = nn.Parameter(torch.randn(len(self.names), width) * 0.02)
        self.summary = nn.Parameter(torch.randn(width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, tokens: Mapping[str, Tokens]) -> Tensor:
        """See `Fusion`."""
        marked = {
            name: Tokens(tokens[name].states + kind, tokens[name].mask)
            for name, kind in zip(self.names, self.kinds, strict=True)
        }
        whole = joined(marked, self.names)
        summary = self.summary.expand(len(whole.states), 1, -1)
        mask = torch.cat([whole.mask.new_ones(len(whole.mask), 1), whole.mask], dim=1)
        states = torch.cat([summary, whole.states], dim=1)
        return self.encoder(states, src_key_padding_mask=mask == 0)[:, 0]


def joined(tokens: Mapping[str, Tokens], names: Sequence[str]) -> Tokens:
    """The tokens of several inputs in one row."""
    chosen = [tokens[name] for name in names]
    return Tokens(
        torch.cat([one.states for one in chosen], dim=1), torch.cat([one.mask for one in chosen], dim=1)
    )
