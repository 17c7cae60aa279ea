"""Self-attention with a hand-written backward pass, and attention of the first token alone.

PyTorch's fused kernel knows no dropout on a CPU; with it, attention takes a composite path of a dozen passes.
The forms here do the same arithmetic: scores, weights and their gradients in single precision, as the
composite path does, all other products in the compute type (bfloat16 under autocast), as fused kernels do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.models.lean_dropout import Rate, draw_lanes, dropout, keep


class Attention(NamedTuple):
    """What is not a tensor: number of heads, dropout of the attention weights, the compute type."""

    heads: int
    rate: Rate
    dtype: torch.dtype


def fuse(parts: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Stack along the first axis, in another type."""
    rows = [part.shape[0] for part in parts]
    fused = torch.empty(sum(rows), *parts[0].shape[1:], dtype=dtype)
    for target, part in zip(fused.split(rows), parts, strict=True):  # type: ignore[no-untyped-call]
        target.copy_(part)
    return fused


def scaled_bmm(left: Tensor, right: Tensor, scale: float, out: Tensor | None = None) -> Tensor:
    """Batched matrix product times a number, in one pass."""
    shape = (left.shape[0], left.shape[1], right.shape[2])
    out = torch.empty(shape, dtype=left.dtype) if out is None else out
    return torch.baddbmm(out, left, right, beta=0, alpha=scale, out=out)


def to_heads(flat: Tensor, heads: int, parts: int) -> Tensor:
    """[B, T, P*H*D] to contiguous [P, B*H, T, D]."""
    batch, length, width = flat.shape
    size = width // (parts * heads)
    split = flat.view(batch, length, parts, heads, size).permute(2, 0, 3, 1, 4)
    return split.reshape(parts, batch * heads, length, size)


def from_heads(split: Tensor, batch: int) -> Tensor:
    """[P, B*H, T, D] to contiguous [B, T, P*H*D]."""
    parts, rows, length, size = split.shape
    heads = rows // batch
    merged = split.view(parts, batch, heads, length, size).permute(1, 3, 0, 2, 4)
    return merged.reshape(batch, length, parts * heads * size)


def _single(values: Tensor) -> Tensor:
    """The values in single precision at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class SelfAttention(torch.autograd.Function):
    """Context [B, T, H*D] in the compute type, of states [B, T, W] and an additive bias or None.

    ``projections`` are weight and bias of query, key and value.
    """

    @staticmethod
    def forward(
        ctx: Any, settings: Attention, states: Tensor, bias: Tensor | None, *projections: Tensor
    ) -> Tensor:
        batch, length, width = states.shape
        heads, rate, dtype = settings
        with torch.autocast("cpu", enabled=False):
            inputs = states.reshape(-1, width).to(dtype)
            weight = fuse(projections[0::2], dtype)
            flat = torch.addmm(fuse(projections[1::2], dtype), inputs, weight.t())
            parts = to_heads(flat.view(batch, length, -1), heads, 3)
            weights = _weights(parts, bias, batch)
            dropped, lanes = weights, None
            if rate.active:
                lanes = draw_lanes(weights.numel()).view(weights.shape)
                dropped = keep(lanes, rate, dtype=weights.dtype).mul_(weights)
            dropped = dropped.to(dtype)
            context = scaled_bmm(dropped, parts[2], rate.scale)
        ctx.save_for_backward(inputs, weight, parts, weights, dropped, lanes)
        ctx.settings, ctx.batch, ctx.types = settings, batch, (states.dtype, projections[0].dtype)
        return from_heads(context.unsqueeze(0), batch)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, parts, weights, dropped, lanes = ctx.saved_tensors
        heads, rate, _ = ctx.settings
        state_type, weight_type = ctx.types
        d_states: Tensor | None = None
        grads: list[Tensor | None] = [None] * 6
        with torch.autocast("cpu", enabled=False):
            d_parts = _attention_grads(to_heads(grad, heads, 1)[0], parts, weights, dropped, lanes, rate)
            d_flat = from_heads(d_parts, ctx.batch).view(inputs.shape[0], -1)
            if ctx.needs_input_grad[1]:
                d_states = torch.mm(d_flat, weight).to(state_type).view(ctx.batch, -1, inputs.shape[1])
            if any(ctx.needs_input_grad[3:]):
                grads[0::2] = [part.to(weight_type) for part in torch.mm(d_flat.t(), inputs).chunk(3)]
                grads[1::2] = [part.to(weight_type) for part in d_flat.sum(0).chunk(3)]
        return None, d_states, None, *grads


def _weights(parts: Tensor, bias: Tensor | None, batch: int) -> Tensor:
    """Attention weights [B*H, T, T] from queries and keys."""
    q, k = _single(parts[:2])
    rows, length, size = q.shape
    scores = scaled_bmm(q, k.transpose(1, 2), size**-0.5)
    if bias is not None:
        scores.view(batch, rows // batch, length, length).add_(bias)
    return torch.softmax(scores, dim=-1)


def _attention_grads(
    d_context: Tensor, parts: Tensor, weights: Tensor, dropped: Tensor, lanes: Tensor | None, rate: Rate
) -> Tensor:
    """Gradients [3, B*H, T, D] of queries, keys and values."""
    q, k, v = parts
    scale = q.shape[-1] ** -0.5
    grads = torch.empty_like(parts)
    scaled_bmm(dropped.transpose(1, 2), d_context, rate.scale, out=grads[2])
    d_weights = scaled_bmm(_single(d_context), _single(v).transpose(1, 2), rate.scale)
    if lanes is not None:
        d_weights.mul_(keep(lanes, rate, dtype=weights.dtype))
    d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)  # noqa: SLF001 - softmax's own
    d_scores = d_scores.to(parts.dtype)
    scaled_bmm(d_scores, k, scale, out=grads[0])
    scaled_bmm(d_scores.transpose(1, 2), q, scale, out=grads[1])
    return grads


def first_token_attention(
    states: Tensor, bias: Tensor | None, projections: Sequence[Tensor], *, heads: int, p: float
) -> Tensor:
    """Context [B, H*D] of the first token alone, in the type of the states.

    Keys and values of the other tokens are never made: q (x Wk) = (q Wk^T) x, and a weighted mean of x Wv is
    the weighted mean of x times Wv, so that the projections work on one vector per head and row instead of T.

    Args:
        states: [B, T, W].
        bias: added to the scores: [B or 1, 1, T or 1, T], or None.
        projections: weight [H*D, W] and bias [H*D] of query, key and value.
        heads: H.
        p: dropout rate of the attention weights.
    """
    query, query_bias, key, key_bias, value, value_bias = projections
    batch, _, width = states.shape
    by_head = (heads, query.shape[0] // heads)
    scale = by_head[1] ** -0.5
    q = F.linear(states[:, 0], query * scale, query_bias * scale).view(batch, *by_head).transpose(0, 1)
    probes = torch.bmm(q, key.view(*by_head, width)).transpose(0, 1)  # [B, H, W]
    constant = torch.bmm(q, key_bias.view(*by_head, 1)).transpose(0, 1)  # [B, H, 1]
    scores = torch.bmm(probes, states.transpose(1, 2)) + constant
    if bias is not None:
        scores = scores + bias[:, :, 0]
    weights = dropout(torch.softmax(scores, dim=-1).to(states.dtype), p)  # the bias is single precision
    means = torch.bmm(weights, states).transpose(0, 1)  # [H, B, W]
    context = torch.bmm(means, value.view(*by_head, width).transpose(1, 2)).transpose(0, 1)  # [B, H, D]
    return (context + weights.sum(-1, keepdim=True) * value_bias.view(1, *by_head)).flatten(1)
