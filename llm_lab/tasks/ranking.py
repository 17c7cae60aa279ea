"""Which of many texts belong to a query: losses of the pairs, and the place at which the first right one stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

CHUNK = 1024  # queries that are compared with all keys at once
Objective = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Losses [P] from scores [Q, K], which of them are right [Q, K], and the pairs' rows [P] and columns [P]."""


class Pairs(NamedTuple):
    """What belongs together: text ``keys[column[p]]`` to ``queries[row[p]]``, each text once.

    Attributes:
        queries: [Q, H]; those without a pair are only keys of the other direction.
        keys: [K, H].
        row: [P] numbers of queries.
        column: [P] numbers of keys.
    """

    queries: Tensor
    keys: Tensor
    row: Tensor
    column: Tensor

    def back(self) -> Pairs:
        """The other direction."""
        return Pairs(self.keys, self.queries, self.column, self.row)


def pairs(embeddings: Mapping[str, Tensor]) -> Pairs:
    """Anchors and candidates with equal texts taken together, so that no text is a negative of its own pair.

    Args:
        embeddings: ``anchors`` [B, H] with the numbers ``anchor`` [B] of their texts; ``candidates`` [M, H] with
            the numbers ``text`` and ``owner`` (that of an anchor) [M] and whether they are ``positive`` [M].
    """
    queries, first_query, _ = first_places(embeddings["anchor"])
    _, first_key, key = first_places(embeddings["text"])
    right = embeddings["positive"]
    row = torch.searchsorted(queries, embeddings["owner"][right])
    return Pairs(embeddings["anchors"][first_query], embeddings["candidates"][first_key], row, key[right])


def first_places(numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct numbers [U], sorted; where each stands first [U]; and the place of each among them [N]."""
    distinct, inverse = torch.unique(numbers, return_inverse=True)
    places = torch.arange(len(numbers), device=numbers.device)
    first = places.new_full((len(distinct),), len(numbers)).scatter_reduce(0, inverse, places, "amin")
    return distinct, first, inverse


def infonce(scores: Tensor, right: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Cross-entropy of each pair among the keys that do not belong to its query (InfoNCE, van den Oord et al. 2018)."""
    wrong = _without(scores, right)
    own = scores[row, column]
    return torch.logaddexp(wrong.logsumexp(dim=1)[row], own) - own


def sigmoid(scores: Tensor, right: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Each score by itself says right or wrong (SigLIP, Zhai et al. 2023, https://arxiv.org/abs/2303.15343).

    A query's sum over all keys is shared by its pairs; queries without one count nothing.
    """
    del column
    every = F.softplus(torch.where(right, -scores, scores)).sum(dim=1)
    return (every / right.sum(dim=1).clamp(min=1))[row]


def ranked(
    scores: Tensor, row: Tensor, column: Tensor, objective: Objective = infonce
) -> tuple[Tensor, Tensor]:
    """The loss of each pair [P], and the rank from 1 of the best right key of each query that has one.

    Ties count as lost.

    Args:
        scores: [Q, K].
        row: [P] queries of the pairs.
        column: [P] keys of the pairs.
        objective: what the losses are.
    """
    right = torch.zeros_like(scores, dtype=torch.bool)
    right[row, column] = True
    best = _without(scores, ~right).amax(dim=1, keepdim=True)
    ranks = 1 + ((scores >= best) & ~right).sum(dim=1)[right.any(dim=1)]
    return objective(scores, right, row, column), ranks


def _without(scores: Tensor, those: Tensor) -> Tensor:
    """No infinity: a row may have no other key."""
    return scores.masked_fill(those, torch.finfo(scores.dtype).min)


def compare(
    found: Pairs, *, scale: float | Tensor = 1.0, bias: float | Tensor = 0.0, objective: Objective = infonce
) -> tuple[Tensor, Tensor]:
    """Losses [P] and ranks [queries with a pair] over any number of texts, some queries at a time.

    Args:
        found: what belongs together.
        scale: of the inner products.
        bias: is added to them, which matters to `sigmoid` alone.
        objective: what the losses are.
    """
    losses, ranks, places = [], [], []
    for start in range(0, max(1, len(found.queries)), CHUNK):
        place = ((found.row >= start) & (found.row < start + CHUNK)).nonzero().squeeze(1)
        with torch.autocast(
            found.queries.device.type, enabled=False
        ):  # bfloat16 is too coarse for close scores
            scores = found.queries[start : start + CHUNK] @ found.keys.T * scale + bias
        some = ranked(scores, found.row[place] - start, found.column[place], objective)
        losses.append(some[0])
        ranks.append(some[1])
        places.append(place)
    return torch.cat(losses)[torch.cat(places).argsort()], torch.cat(ranks)
