"""Cross-entropy of a large vocabulary without logits of the whole batch in single precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from transformers import PreTrainedModel

IGNORED = -100  # the label of a position that is no target
CHUNK = 1 << 20  # logits at a time: 4 MB in single precision stay in the cache


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, dtype: torch.dtype, states: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor
    ) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            inputs, table = states.to(dtype), weight.to(dtype)
            errors = torch.mm(inputs, table.t())  # becomes the gradient of the logits, in place
            losses = errors.new_empty(len(labels), dtype=torch.promote_types(dtype, torch.float32))
            rows = max(1, CHUNK // len(table))
            for chunk, some, targets in zip(
                *(torch.split(part, rows) for part in (errors, losses, labels.unsqueeze(1))), strict=True
            ):
                logits = chunk.to(losses.dtype)
                logits = logits if bias is None else logits + bias.to(losses.dtype)
                logs = torch.log_softmax(logits, dim=-1)
                some.copy_(logs.gather(1, targets).squeeze(1).neg_())
                chunk.copy_(logs.exp_().scatter_add_(1, targets, -torch.ones_like(targets, dtype=logs.dtype)))
        ctx.save_for_backward(inputs, table, errors)
        ctx.types = states.dtype, weight.dtype, None if bias is None else bias.dtype
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, table, errors = ctx.saved_tensors
        state_type, weight_type, bias_type = ctx.types
        _, needs_states, needs_weight, needs_bias, _ = ctx.needs_input_grad
        share = grad.unsqueeze(1)
        with torch.autocast("cpu", enabled=False):
            d_states = torch.mm(errors, table).to(state_type).mul_(share) if needs_states else None
            d_weight = None
            if needs_weight:
                d_weight = torch.mm(errors.t(), (inputs * share).to(inputs.dtype)).to(weight_type)
            d_bias = torch.mv(errors.t(), grad.to(errors.dtype)).to(bias_type) if needs_bias else None
        return None, d_states, d_weight, d_bias, None


def token_losses(head: nn.Module, states: Tensor, labels: Tensor) -> Tensor:
    """Losses [N] of the targets, from the states [..., W] before a model's output embedding.

    A head that is more than one product (adapters, shards) is called, and its logits are held as a whole.
    """
    if type(head) is nn.Linear and type(head.weight) is nn.Parameter:
        return linear_cross_entropy(states, head.weight, head.bias, labels)
    wanted = labels != IGNORED
    return F.cross_entropy(head(states[wanted]).float(), labels[wanted], reduction="none")


@contextmanager
def headless(model: PreTrainedModel) -> Iterator[nn.Module]:
    """Within it ``model(...).logits`` are the states before the output embedding, which is what is given."""
    head = model.get_output_embeddings()
    before = head.__dict__.get("forward")
    head.forward = lambda states: states
    try:
        yield head
    finally:
        del head.forward
        if before is not None:
            head.forward = before


def linear_cross_entropy(states: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor) -> Tensor:
    """Cross-entropy of ``states @ weight.T + bias`` for every target.

    The product, and the one copy of the logits that is kept for the backward pass (as their gradient), are in the
    compute type, bfloat16 under autocast; softmax and losses are in single precision, a chunk of rows at a time.

    Args:
        states: [..., W].
        weight: [V, W].
        bias: [V] or None.
        labels: [...]; -100 where there is no target.

    Returns:
        Losses [N] of the N targets in their order.
    """
    wanted = labels != IGNORED
    states = states.flatten(0, -2) if bool(wanted.all()) else states[wanted]
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else states.dtype
    losses: Tensor = _Losses.apply(dtype, states, weight, bias, labels[wanted])  # type: ignore[no-untyped-call]
    return losses
