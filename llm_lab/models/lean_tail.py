"""What follows attention in a post-norm encoder layer, with a hand-written backward pass.

Projection, dropout, residual, norm; two dense layers with GELU, dropout, residual, norm. The residual stream
and the norms keep the type of the incoming states (single precision under autocast), the matrix products work
in the compute type, and every cast is made once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.models.lean_dropout import Rate, draw_lanes, keep


class Settings(NamedTuple):
    """What is not a tensor: dropout of both branches, epsilon of both norms, the compute type."""

    rates: tuple[Rate, Rate]
    epsilons: tuple[float, float]
    dtype: torch.dtype


class Tail(torch.autograd.Function):
    """New states [N, W] from context [N, C] (compute type) and residual [N, W] (stream type).

    ``parameters`` are weight and bias of projection, norm, first and second dense layer, norm.
    """

    @staticmethod
    def forward(
        ctx: Any, settings: Settings, context: Tensor, residual: Tensor, *parameters: Tensor
    ) -> Tensor:
        dtype, (first_rate, second_rate) = settings.dtype, settings.rates
        norm, last = parameters[2:4], parameters[8:10]
        with torch.autocast("cpu", enabled=False):
            out, up, down = (parameters[place].to(dtype) for place in (0, 4, 6))
            out_bias, up_bias, down_bias = (parameters[place].to(dtype) for place in (1, 5, 7))
            first_lanes, second_lanes = _draw(residual, settings.rates)
            first = _add(residual, torch.addmm(out_bias, context, out.t()), first_lanes, first_rate)
            middle, *first_stats = _norm(first, norm[0], norm[1], settings.epsilons[0])
            inputs = middle.to(dtype)
            raw = torch.addmm(up_bias, inputs, up.t())
            active = F.gelu(raw)
            second = _add(middle, torch.addmm(down_bias, active, down.t()), second_lanes, second_rate)
            result, *second_stats = _norm(second, last[0], last[1], settings.epsilons[1])
        dense = (context, out, up, down, inputs, raw, active, first_lanes, second_lanes)
        ctx.save_for_backward(*dense, first, *first_stats, *norm, second, *second_stats, *last)
        ctx.settings, ctx.weight_type = settings, parameters[0].dtype
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        context, out, up, down, inputs, raw, active, first_lanes, second_lanes, *norms = ctx.saved_tensors
        (first_rate, second_rate), dtype, kind = ctx.settings.rates, ctx.settings.dtype, ctx.weight_type
        needs = ctx.needs_input_grad[3:]
        with torch.autocast("cpu", enabled=False):
            d_second, *d_last = _norm_grads(grad, *norms[5:])
            d_branch = _masked(d_second, second_lanes, second_rate, dtype)
            d_down = _linear_grads(d_branch, active, needs[6:8], kind)
            d_raw = torch.ops.aten.gelu_backward(torch.mm(d_branch, down), raw)
            d_up = _linear_grads(d_raw, inputs, needs[4:6], kind)
            d_first, *d_norm = _norm_grads(d_second.add_(torch.mm(d_raw, up)), *norms[:5])
            d_branch = _masked(d_first, first_lanes, first_rate, dtype)
            d_out = _linear_grads(d_branch, context, needs[0:2], kind)
            d_context = torch.mm(d_branch, out) if ctx.needs_input_grad[1] else None
        return None, d_context, d_first, *d_out, *d_norm, *d_up, *d_down, *d_last


def _draw(like: Tensor, rates: tuple[Rate, Rate]) -> list[Tensor | None]:
    """Lanes of both branches from one draw."""
    count, active = like.numel(), sum(rate.active for rate in rates)
    rest = iter(draw_lanes(count * active).split(count) if active else ())  # type: ignore[no-untyped-call]
    return [next(rest).view(like.shape) if rate.active else None for rate in rates]


def _add(residual: Tensor, branch: Tensor, lanes: Tensor | None, rate: Rate) -> Tensor:
    branch = branch.to(residual.dtype)
    if lanes is None:
        return residual + branch
    return torch.addcmul(residual, branch, keep(lanes, rate, dtype=residual.dtype), value=rate.scale)


def _masked(grad: Tensor, lanes: Tensor | None, rate: Rate, dtype: torch.dtype) -> Tensor:
    if lanes is None:
        return grad.to(dtype)
    return keep(lanes, rate, dtype=grad.dtype).mul_(grad).mul_(rate.scale).to(dtype)


def _norm(values: Tensor, gain: Tensor, bias: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    return torch.native_layer_norm(values, values.shape[-1:], gain, bias, epsilon)


def _norm_grads(
    grad: Tensor, values: Tensor, mean: Tensor, rstd: Tensor, gain: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    shape, every = values.shape[-1:], [True, True, True]
    grads = torch.ops.aten.native_layer_norm_backward(grad, values, shape, mean, rstd, gain, bias, every)
    return tuple(grads)


def _linear_grads(
    grad: Tensor, inputs: Tensor, needs: tuple[bool, bool], dtype: torch.dtype
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of a dense layer's weight and bias."""
    weight = torch.mm(grad.t(), inputs).to(dtype) if needs[0] else None
    return weight, grad.sum(0).to(dtype) if needs[1] else None
