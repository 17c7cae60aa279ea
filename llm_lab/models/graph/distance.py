"""Models whose score is a distance: a relation moves the source, and the answer lies where it arrives."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from torch.utils.checkpoint import checkpoint

from llm_lab.data.spec import DataSpec
from llm_lab.models.graph.embedding import Embedding

CHUNK = 1 << 24  # numbers of differences that are held at a time: 64 MB


class _Distance(Embedding):
    """Margin minus distance."""

    by_product = False
    margin: float

    @abstractmethod
    def distances(self, differences: Tensor) -> Tensor:
        """Lengths [...] of differences [..., D]."""

    def compare(self, queries: Tensor) -> Tensor:
        """See `Embedding.compare`; a few queries at a time, since differences take E times D numbers each.

        For the backward pass the differences are made again, not kept.
        """

        def far(some: Tensor, table: Tensor) -> Tensor:
            return self.distances(some[:, None] - table)

        parts = torch.split(queries, max(1, CHUNK // self.entity.numel()))
        if torch.is_grad_enabled():
            return self.margin - torch.cat(
                [checkpoint(far, one, self.entity, use_reentrant=False) for one in parts]
            )
        return self.margin - torch.cat([far(one, self.entity) for one in parts])

    def compare_some(self, queries: Tensor, chosen: Tensor) -> Tensor:
        """See `Embedding.compare_some`."""
        return self.margin - self.distances(queries[:, None] - F.embedding(chosen, self.entity))


class TransE(_Distance):
    """The relation is added to the head (Bordes et al. 2013, https://papers.nips.cc/paper/5071).

    Args:
        spec: see `Embedding`.
        dim: real numbers per vector.
        norm: 1 for the sum of absolute differences, 2 for the Euclidean distance.
        margin: the score of a perfect answer, from which the distance is taken.
        reciprocal: see `Embedding`.
        init: see `Embedding`.
        dropout: see `Embedding`.
        wrappers: of the model, for the task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        dim: int = 256,
        norm: Literal[1, 2] = 1,
        margin: float = 9.0,
        reciprocal: bool = False,
        init: float = 0.1,
        dropout: float = 0.0,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        del wrappers
        super().__init__(
            spec=spec, dim=dim, relation_dim=dim, reciprocal=reciprocal, init=init, dropout=dropout
        )
        self.margin, self.norm = margin, norm

    def query(self, sources: Tensor, relations: Tensor) -> Tensor:
        """See `Embedding.query`."""
        return sources + relations

    def inverted(self, relations: Tensor) -> Tensor:
        """The way back."""
        return -relations

    def distances(self, differences: Tensor) -> Tensor:
        """By the chosen norm."""
        return torch.linalg.vector_norm(differences, self.norm, dim=-1)

    def compare(self, queries: Tensor) -> Tensor:
        """See `Embedding.compare`; nothing but the scores is held."""
        return self.margin - torch.cdist(queries.float(), self.entity, p=float(self.norm))


class RotatE(_Distance):
    """The relation turns each complex number of the head (Sun et al. 2019, https://arxiv.org/abs/1902.10197).

    Args:
        spec: see `Embedding`.
        dim: real numbers per vector, two for each complex one.
        margin: see `TransE`.
        reciprocal: see `Embedding`.
        init: see `Embedding`; angles start evenly spread.
        dropout: see `Embedding`.
        wrappers: of the model, for the task.
    """

    halved = True

    def __init__(
        self,
        *,
        spec: DataSpec,
        dim: int = 256,
        margin: float = 9.0,
        reciprocal: bool = False,
        init: float = 0.1,
        dropout: float = 0.0,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        del wrappers
        super().__init__(
            spec=spec,
            dim=dim,
            relation_dim=dim // 2,
            reciprocal=reciprocal,
            init=init,
            dropout=dropout,
        )
        self.margin = margin
        nn.init.uniform_(self.relation, -math.pi, math.pi)

    def query(self, sources: Tensor, relations: Tensor) -> Tensor:
        """See `Embedding.query`."""
        real, imaginary = sources.chunk(2, 1)
        cosine, sine = relations.cos(), relations.sin()
        return torch.cat([real * cosine - imaginary * sine, real * sine + imaginary * cosine], 1)

    def inverted(self, relations: Tensor) -> Tensor:
        """The turn back."""
        return -relations

    def distances(self, differences: Tensor) -> Tensor:
        """The sum of the moduli."""
        real, imaginary = differences.float().chunk(2, -1)
        return (real.square() + imaginary.square() + 1e-12).sqrt().sum(-1)
