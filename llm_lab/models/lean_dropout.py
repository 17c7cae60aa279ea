"""Dropout from cheap random bits: one 64-bit draw decides over four elements.

torch draws a double per element on a CPU, which took 13 % of a step of fine-tuning. Here a rate is a multiple
of 1/65536, an element is kept where its 16-bit lane reaches a threshold, and the generator (SFC64, see
https://pracrand.sourceforge.net/RNG_engines.txt) is seeded from torch's own, whose state remains the only
one: the same state gives the same masks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LEVELS = 1 << 16
LOWEST = -(1 << 15)


class Rate:
    """A dropout rate in the nearest multiple of 1/65536.

    Attributes:
        threshold: lanes below it are dropped.
        scale: what kept elements are multiplied by, so that the mean stays.
    """

    def __init__(self, p: float) -> None:
        dropped = round(p * LEVELS)
        self.threshold = LOWEST + dropped
        self.scale = LEVELS / (LEVELS - dropped)
        self.active = dropped > 0


def representable(p: float) -> bool:
    """Whether a rate leaves anything to keep."""
    return 0 <= round(p * LEVELS) < LEVELS


def draw_lanes(count: int) -> Tensor:
    """`count` random int16 numbers from the state of torch's generator, which moves on by one draw."""
    seed = int(torch.randint(0, 1 << 62, ()))
    bits = np.random.SFC64(seed).random_raw(-(-count // 4))
    return torch.from_numpy(bits.view(np.int16))[:count]


def keep(lanes: Tensor, rate: Rate, *, dtype: torch.dtype) -> Tensor:
    """1 where an element stays and 0 where it is dropped, in the shape of the lanes."""
    return torch.ge(lanes, rate.threshold, out=torch.empty(lanes.shape, dtype=dtype))


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rate: Rate) -> Tensor:
        lanes = draw_lanes(values.numel()).view(values.shape)
        ctx.save_for_backward(lanes)
        ctx.rate = rate
        return keep(lanes, rate, dtype=values.dtype).mul_(values).mul_(rate.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (lanes,) = ctx.saved_tensors
        return keep(lanes, ctx.rate, dtype=grad.dtype).mul_(grad).mul_(ctx.rate.scale), None


def dropout(values: Tensor, p: float) -> Tensor:
    """Drop each element of a CPU tensor with probability `p` and scale up the others."""
    rate = Rate(p)
    return _Dropout.apply(values, rate) if rate.active else values  # type: ignore[no-untyped-call]


def dropout_forward(module: nn.Dropout, values: Tensor) -> Tensor:
    """`forward` of a lean ``nn.Dropout``; the plain one wherever bits are not cheaper or not possible."""
    real = type(values) is Tensor and values.device.type == "cpu"  # no fake, sharded or meta tensor
    cheap = real and values.is_floating_point() and not torch.compiler.is_compiling()
    if module.training and cheap and not module.inplace and representable(module.p):
        return dropout(values, module.p)
    return nn.Dropout.forward(module, values)
