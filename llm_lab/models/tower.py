"""What an encoder of one modality is: a column of a batch in, tokens and their mask out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Tokens(NamedTuple):
    """What fusion gets of a modality.

    Attributes:
        states: [B, T, D].
        mask: [B, T], 1 where a token counts.
    """

    states: Tensor
    mask: Tensor

    def pooled(self) -> Tensor:
        """Mean over the tokens that count: [B, D]."""
        keep = self.mask.unsqueeze(-1).to(self.states.dtype)
        return (self.states * keep).sum(dim=1) / keep.sum(dim=1).clamp(min=1)


class Tower(nn.Module, ABC):
    """An encoder of one input. Its constructor takes ``column``, what the data say of the input.

    Attributes:
        width: D of its tokens.
        frozen: whether it stays as it is.
        pretrained: whether it came with weights: what tunes little changes such towers alone.
    """

    width: int
    frozen = False
    pretrained = False

    @abstractmethod
    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, T, D] of the input's tensor and, where lengths differ, its mask."""

    @abstractmethod
    def saved(self) -> dict[str, Any]:
        """A node that builds the same tower without its source, for the saved model; plain values."""

    def freeze(self, *, frozen: bool) -> None:
        """Stop its gradient, and keep its dropout and its statistics still."""
        self.frozen = frozen
        if frozen:
            self.requires_grad_(requires_grad=False)
            self.eval()

    def train(self, mode: bool = True) -> Tower:  # noqa: FBT001, FBT002 - torch's own signature
        """As torch has it; a frozen tower stays as it is."""
        super().train(mode and not self.frozen)
        return self


def all_tokens(states: Tensor) -> Tokens:
    """Tokens of which each counts."""
    return Tokens(states, torch.ones(states.shape[:2], dtype=torch.int64, device=states.device))


def node_of(tower: Tower, **settings: Any) -> dict[str, Any]:
    """A node that names the tower's class."""
    kind = type(tower)
    return {"_target_": f"{kind.__module__}.{kind.__qualname__}", **settings}
