"""Causal self-attention with a hand-written backward pass.

On a CPU PyTorch's fused kernel spends two thirds of its time in its backward pass. Here queries go in blocks,
each with the keys up to its own end; scores and softmax are in single precision, all other products and the
weights that are kept in the compute type (bfloat16 under autocast), as fused kernels do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from llm_lab.models.lean_attention import scaled_bmm

BLOCK = 128  # queries at a time: a quarter of the scores of 256 tokens is never made


def attend(parts: Tensor, bias: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """Context [R, T, D] of queries, keys and values [3, R, T, D] (R is rows times heads), and what its gradient needs.

    Args:
        parts: in the compute type.
        bias: added to the scores, [B or 1, 1, T, T] in single precision, causal itself; None is causal without more.
    """
    q, k, v = parts
    single = torch.promote_types(parts.dtype, torch.float32)
    wide_q, wide_k = q.to(single), k.to(single).transpose(1, 2)
    context, kept = torch.empty_like(q), []
    for start, end in _blocks(q.shape[1]):
        scores = scaled_bmm(wide_q[:, start:end], wide_k[:, :, :end], q.shape[-1] ** -0.5)
        _mask(scores, bias, start, end)
        weights = torch.softmax(scores, dim=-1).to(q.dtype)
        scaled_bmm(weights, v[:, :end], 1.0, out=context[:, start:end])
        kept.append(weights)
    return context, kept


def attend_grads(d_context: Tensor, parts: Tensor, kept: Sequence[Tensor]) -> Tensor:
    """Gradients [3, R, T, D] of queries, keys and values from that of the context [R, T, D]."""
    q, k, v = parts
    grads, scale = torch.empty_like(parts), q.shape[-1] ** -0.5
    for (start, end), weights in reversed(list(zip(_blocks(q.shape[1]), kept, strict=True))):
        d_block = d_context[:, start:end]
        d_weights = torch.bmm(d_block, v[:, :end].transpose(1, 2))
        d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)  # noqa: SLF001 - softmax's own
        scaled_bmm(d_scores, k[:, :end], scale, out=grads[0, :, start:end])
        for target, left, right, factor in (
            (grads[1], d_scores, q[:, start:end], scale),
            (grads[2], weights, d_block, 1.0),
        ):
            if end == q.shape[1]:
                scaled_bmm(left.transpose(1, 2), right, factor, out=target)
            else:
                target[:, :end].add_(scaled_bmm(left.transpose(1, 2), right, factor))
    return grads


def _blocks(length: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + BLOCK, length)) for start in range(0, length, BLOCK))


def _mask(scores: Tensor, bias: Tensor | None, start: int, end: int) -> None:
    if bias is None:
        size = end - start
        scores[:, :, start:].add_(torch.full((size, size), float("-inf"), dtype=scores.dtype).triu_(1))
    else:
        scores.view(bias.shape[0], -1, *scores.shape[1:]).add_(bias[:, :, start:end, :end])
