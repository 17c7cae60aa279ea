"""A pre-norm decoder block of GPT-2 with a hand-written backward pass.

Norm, attention, residual; norm, two dense layers with GELU, residual. The residual stream and the norms keep
the type of the incoming states (single precision under autocast), the products work in the compute type, every
cast is made once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.models.lean_attention import from_heads, to_heads
from llm_lab.models.lean_causal import attend, attend_grads


class Settings(NamedTuple):
    """What is not a tensor: number of heads, epsilon of the norms, the form of GELU, the compute type."""

    heads: int
    epsilon: float
    gelu: str
    dtype: torch.dtype


class Block(torch.autograd.Function):
    """New states [B, T, W] from states and an additive bias or None (causal).

    ``parameters`` are weight and bias of norm, projection to queries, keys and values, projection, norm, first and
    second dense layer; weights are stored [in, out], as GPT-2 has them.
    """

    @staticmethod
    def forward(
        ctx: Any, settings: Settings, states: Tensor, bias: Tensor | None, *parameters: Tensor
    ) -> Tensor:
        batch, length, width = states.shape
        heads, epsilon, gelu, dtype = settings
        flat = states.reshape(-1, width)
        with torch.autocast("cpu", enabled=False):
            norm, last = parameters[:2], parameters[6:8]
            (qkv, qkv_b), (out, out_b), (up, up_b), (down, down_b) = (
                [parameter.to(dtype) for parameter in parameters[place : place + 2]]
                for place in (2, 4, 8, 10)
            )
            normed, *stats = torch.native_layer_norm(flat, (width,), norm[0], norm[1], epsilon)
            inputs = normed.to(dtype)
            parts = to_heads(torch.addmm(qkv_b, inputs, qkv).view(batch, length, -1), heads, 3)
            heads_out, kept = attend(parts, bias)
            context = from_heads(heads_out.unsqueeze(0), batch).view(-1, width)
            middle = flat + torch.addmm(out_b, context, out)
            normed, *last_stats = torch.native_layer_norm(middle, (width,), last[0], last[1], epsilon)
            second = normed.to(dtype)
            raw = torch.addmm(up_b, second, up)
            active = F.gelu(raw, approximate=gelu)
            result = torch.addmm(down_b, active, down) + middle
        first_half = (inputs, qkv, parts, context, out, flat, *stats, *norm)
        ctx.save_for_backward(*first_half, second, up, raw, active, down, middle, *last_stats, *last, *kept)
        ctx.settings, ctx.batch, ctx.weight_type = settings, batch, parameters[0].dtype
        return result.view(states.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # once: checkpointing hands them out a single time
        inputs, qkv, parts, context, out, *first_norm = saved[:10]
        second, up, raw, active, down, *last_norm = saved[10:20]
        heads, _, gelu, dtype = ctx.settings
        needs, kind = ctx.needs_input_grad[3:], ctx.weight_type
        d_result = grad.reshape(-1, grad.shape[-1])
        with torch.autocast("cpu", enabled=False):
            d_branch = d_result.to(dtype)
            d_down = _dense_grads(active, d_branch, needs[10:12], kind)
            d_raw = torch.ops.aten.gelu_backward(torch.mm(d_branch, down.t()), raw, approximate=gelu)
            d_up = _dense_grads(second, d_raw, needs[8:10], kind)
            d_middle, *d_last = _norm_grads(torch.mm(d_raw, up.t()), *last_norm)
            d_middle.add_(d_result)
            d_branch = d_middle.to(dtype)
            d_out = _dense_grads(context, d_branch, needs[4:6], kind)
            d_context = torch.mm(d_branch, out.t()).view(ctx.batch, -1, out.shape[0])
            d_parts = attend_grads(to_heads(d_context, heads, 1)[0], parts, saved[20:])
            d_qkv_flat = from_heads(d_parts, ctx.batch).view(inputs.shape[0], -1)
            d_qkv = _dense_grads(inputs, d_qkv_flat, needs[2:4], kind)
            d_states, *d_norm = _norm_grads(torch.mm(d_qkv_flat, qkv.t()), *first_norm)
            d_states.add_(d_middle)
        return None, d_states.view(grad.shape), None, *d_norm, *d_qkv, *d_out, *d_last, *d_up, *d_down


def _norm_grads(
    grad: Tensor, values: Tensor, mean: Tensor, rstd: Tensor, gain: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    shape, every = values.shape[-1:], [True, True, True]
    grad = grad.to(values.dtype)
    grads = torch.ops.aten.native_layer_norm_backward(grad, values, shape, mean, rstd, gain, bias, every)
    return tuple(grads)


def _dense_grads(
    inputs: Tensor, grad: Tensor, needs: tuple[bool, bool], dtype: torch.dtype
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of weight [in, out] and bias of a dense layer."""
    weight = torch.mm(inputs.t(), grad).to(dtype) if needs[0] else None
    return weight, grad.sum(0).to(dtype) if needs[1] else None
