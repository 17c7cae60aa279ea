"""Mixout: dropout towards the pretrained weights instead of towards zero."""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.errors import ConfigError
from llm_lab.models.wrapper import Wrapper

ANCHOR = "mixout_anchor"
RATE = "mixout_rate"


class Mixout(Wrapper):
    """In training, each weight of a linear layer is the pretrained one with a given probability.

    The others are moved so that the expected weight stays: see Lee et al. 2020, https://arxiv.org/abs/1909.11299.
    The paper sets dropout to 0 beside it (``model.dropout=0``). The pretrained weights are kept as buffers.

    Args:
        rate: the probability; the paper takes 0.7 to 0.9.
    """

    writes_weights = False

    def __init__(self, *, rate: float = 0.7) -> None:
        if not 0 <= rate < 1:
            raise ConfigError(f"rate: a probability below 1 is wanted, found {rate}")
        self.rate = rate

    def __call__(self, module: nn.Module) -> nn.Module:
        """Change the linear layers of the backbone in place."""
        backbone: Any = getattr(module, "base_model", module)
        for part in backbone.modules():
            if type(part) is nn.Linear:
                part.register_buffer(ANCHOR, part.weight.detach().clone())
                setattr(part, RATE, self.rate)
                part.forward = MethodType(mixed_forward, part)  # type: ignore[method-assign]
        return module

    def merge(self, module: nn.Module) -> nn.Module:
        """Give the layers their own forward passes back."""
        for part in module.modules():
            if ANCHOR in part._buffers:  # noqa: SLF001 - there is no other way to ask
                for name in (ANCHOR, RATE, "forward"):
                    delattr(part, name)
        return module


def mixed_forward(layer: Any, inputs: Tensor) -> Tensor:
    """`forward` of a linear layer whose weight is mixed with the pretrained one."""
    if not layer.training or layer.mixout_rate == 0:
        return F.linear(inputs, layer.weight, layer.bias)
    kept = torch.rand_like(layer.weight) >= layer.mixout_rate
    mixed = layer.mixout_anchor + (layer.weight - layer.mixout_anchor) * kept / (1 - layer.mixout_rate)
    return F.linear(inputs, mixed, layer.bias)
