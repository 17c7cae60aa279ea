"""Losses of link prediction: the right entities against all others, or against a few drawn at random."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.models.graph.embedding import Embedding

Loss = Literal["cross_entropy", "binary_cross_entropy"]
CHUNK = 1 << 20  # scores at a time: 4 MB in single precision stay in the cache


class Right(NamedTuple):
    """The right entities of a batch: row and entity of each [K], and its share of the row's target [K]."""

    rows: Tensor
    columns: Tensor
    shares: Tensor

    @classmethod
    def one_each(cls, targets: Tensor) -> Right:
        """One right entity per row, [B]."""
        return cls(torch.arange(len(targets), device=targets.device), targets, torch.ones(len(targets)))

    @classmethod
    def several(cls, cells: tuple[Tensor, Tensor], count: int, loss: Loss) -> Right:
        """All right entities of each of ``count`` rows: a distribution over them, or a yes for each."""
        rows, columns = cells
        shares = torch.ones(len(rows), device=rows.device)
        if loss == "cross_entropy":
            shares = shares / torch.bincount(rows, minlength=count)[rows]
        return cls(rows, columns, shares)


def against_all(model: Embedding, queries: Tensor, right: Right, *, loss: Loss, smoothing: float) -> Tensor:
    """Losses [B] of queries over all entities.

    Cross-entropy (Lacroix et al. 2018), or the sum of an entity's binary cross-entropies (Dettmers et al. 2018).
    Of the scores [B, E] one copy is made, in the compute type (bfloat16 under autocast); it becomes their gradient.

    Args:
        model: gives the candidates.
        queries: [B, D].
        right: what is right.
        loss: see above.
        smoothing: share of the target that is spread over all entities.
    """
    how = (loss, smoothing, *right)
    if not model.by_product:
        found: Tensor = _OfScores.apply(model.compare(queries).float(), *how)  # type: ignore[no-untyped-call]
        return found
    table, bias = model.candidates()
    kind = queries.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else queries.dtype
    fused: Tensor = _OfProducts.apply(dtype, queries, table, bias, *how)  # type: ignore[no-untyped-call]
    return fused


def against_some(
    model: Embedding, queries: Tensor, targets: Tensor, *, loss: Loss, negatives: int, temperature: float
) -> Tensor:
    """Losses [B] of the right entity against ``negatives`` others, drawn evenly for each query.

    With binary cross-entropy each negative weighs by the softmax of ``temperature`` times its score, which gets no
    gradient: self-adversarial sampling (Sun et al. 2019, https://arxiv.org/abs/1902.10197); zero weighs them alike.
    """
    drawn = torch.randint(model.entities, (len(queries), negatives), device=queries.device)
    scores = model.compare_some(queries, torch.cat([targets[:, None], drawn], 1)).float()
    if loss == "cross_entropy":
        return torch.logsumexp(scores, 1) - scores[:, 0]
    weights = torch.softmax(scores[:, 1:].detach() * temperature, 1)
    return (F.softplus(-scores[:, 0]) + (weights * F.softplus(scores[:, 1:])).sum(1)) / 2


def _settle(
    scores: Tensor, bias: Tensor | None, loss: Loss, smoothing: float, rows: Tensor, columns: Tensor, shares: Tensor
) -> Tensor:  # fmt: skip
    """Losses [B] of scores [B, E], which become their gradient in place."""
    flat = smoothing / scores.shape[1]
    reached = scores[rows, columns].float()
    reached = reached if bias is None else reached + bias[columns].float()
    losses = torch.empty(len(scores), device=scores.device)
    norms = torch.empty_like(losses)
    size = max(1, CHUNK // scores.shape[1])
    for chunk, some, norm in zip(*(torch.split(one, size) for one in (scores, losses, norms)), strict=True):
        logits = chunk.float()
        logits = logits if bias is None else logits + bias.float()
        spread = flat * logits.sum(1) if flat else 0.0
        if loss == "cross_entropy":
            torch.logsumexp(logits, 1, out=norm)
            some.copy_(norm - spread)
            errors = (logits - norm[:, None]).exp_()
        else:
            some.copy_(F.softplus(logits).sum(1) - spread)
            errors = logits.sigmoid()
        chunk.copy_(errors.sub_(flat) if flat else errors)
    wanted = shares * (1 - smoothing)
    losses.index_add_(0, rows, -wanted * reached)
    chance = (reached - norms[rows]).exp() if loss == "cross_entropy" else reached.sigmoid()
    scores[rows, columns] = (chance - flat - wanted).to(
        scores.dtype
    )  # in single precision: close to zero at the end
    return losses


class _OfScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, *how: Any) -> Tensor:
        errors = scores.clone()
        losses = _settle(errors, None, *how)
        ctx.save_for_backward(errors)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (errors,) = ctx.saved_tensors
        return errors.mul_(grad[:, None]), *[None] * 5


class _OfProducts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, dtype: torch.dtype, queries: Tensor, table: Tensor, bias: Tensor | None, *how: Any
    ) -> Tensor:
        with torch.autocast(queries.device.type, enabled=False):
            inputs, rows = queries.to(dtype), table.to(dtype)
            errors = torch.mm(inputs, rows.t())
            losses = _settle(errors, bias, *how)
        ctx.save_for_backward(inputs, rows, errors)
        ctx.types = queries.dtype, table.dtype, None if bias is None else bias.dtype
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, rows, errors = ctx.saved_tensors
        query_type, table_type, bias_type = ctx.types
        share = grad[:, None]
        with torch.autocast(grad.device.type, enabled=False):
            d_queries = torch.mm(errors, rows).to(query_type).mul_(share)
            d_table = torch.mm(errors.t(), (inputs * share).to(inputs.dtype)).to(table_type)
            d_bias = None if bias_type is None else torch.mv(errors.t(), grad.to(errors.dtype)).to(bias_type)
        return None, d_queries, d_table, d_bias, *[None] * 5
