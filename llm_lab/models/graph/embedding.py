"""Embeddings of entities and relations that learn by gradient: what they share, and the two loops over candidates."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.graph.scorer import Scorer


class Embedding(Scorer):
    """A vector per entity and one per relation; a query becomes a vector that candidates are compared with.

    A relation and its inverse are two relations for the outside: from R on they ask for the head. With
    `reciprocal` each has a vector of its own (Lacroix et al. 2018, https://arxiv.org/abs/1806.07297); without,
    the inverse follows from the relation (`inverted`).

    Args:
        spec: of the data; says how many entities and relations there are.
        dim: real numbers per entity.
        relation_dim: real numbers per relation.
        reciprocal: see above.
        init: standard deviation of the initial vectors.
        dropout: of the numbers of entities and relations in queries.
        penalty_weight: of `penalty`.
    """

    by_product = True
    """Whether scores are inner products of queries and candidates, so that losses may be fused with them."""
    halved: ClassVar[bool] = False
    """Whether a vector is two of half its length: real and imaginary parts, or two roles."""

    def __init__(
        self,
        *,
        spec: DataSpec,
        dim: int,
        relation_dim: int,
        reciprocal: bool,
        init: float,
        dropout: float = 0.0,
        penalty_weight: float = 0.0,
    ) -> None:
        super().__init__()
        if self.halved and dim % 2:
            raise ConfigError(f"model.dim: a vector is two halves, so an even number is wanted, found {dim}")
        self.entities, self.relations = sizes_of(spec)
        self.reciprocal, self.dropout, self.penalty_weight = reciprocal, dropout, penalty_weight
        self.entity = nn.Parameter(torch.randn(self.entities, dim) * init)
        rows = self.relations * (2 if reciprocal else 1)
        self.relation = nn.Parameter(torch.randn(rows, relation_dim) * init)

    @abstractmethod
    def query(self, sources: Tensor, relations: Tensor) -> Tensor:
        """Vectors [B, D] of queries from the vectors of sources [B, D] and relations [B, Dr]."""

    def inverted(self, relations: Tensor) -> Tensor:
        """Vectors of the inverses of relations [B, Dr], where these have none of their own."""
        return relations

    def embed(self, sources: Tensor, relations: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of the sources and the relations (from 0 to 2 R - 1) of queries, before any dropout."""
        if self.reciprocal:
            return self.entity.index_select(0, sources), self.relation.index_select(0, relations)
        vectors = self.relation.index_select(0, relations % self.relations)
        backward = (relations >= self.relations)[:, None]
        return (
            self.entity.index_select(0, sources),
            torch.where(backward, self.inverted(vectors), vectors),
        )

    def asked(self, sources: Tensor, relations: Tensor) -> tuple[Tensor, Tensor]:
        """Query vectors [B, D], and what the penalty of each is [B]."""
        source, relation = self.embed(sources, relations)
        penalty = self.penalty_weight * self.penalty(source, relation) if self.penalty_weight else None
        query = self.query(
            F.dropout(source, self.dropout, self.training), F.dropout(relation, self.dropout, self.training)
        )
        return query, query.new_zeros(len(query)) if penalty is None else penalty

    def penalty(self, sources: Tensor, relations: Tensor) -> Tensor:
        """What keeps the vectors of a query small, [B]: the cube of their norm (nuclear 3-norm, N3).

        An entity is as often the target as the source, since each triple is asked both ways: it counts twice.
        """
        return 2 * self.magnitudes(sources).pow(3).sum(1) + self.magnitudes(relations).pow(3).sum(1)

    def magnitudes(self, vectors: Tensor) -> Tensor:
        """Sizes of the numbers of vectors."""
        return vectors.abs()

    def candidates(self) -> tuple[Tensor, Tensor | None]:
        """Vectors [E, D] of all entities as answers, and what is added to the score of each [E]."""
        return self.entity, None

    def compare(self, queries: Tensor) -> Tensor:
        """Scores [B, E] of all candidates."""
        table, bias = self.candidates()
        return F.linear(queries, table, bias)

    def compare_some(self, queries: Tensor, chosen: Tensor) -> Tensor:
        """Scores [B, K] of candidates [B, K]."""
        table, bias = self.candidates()
        # Sums of products, and rows by `embedding`: products of so few rows, and gradients of indices, are slow.
        scores = (queries[:, None] * F.embedding(chosen, table)).sum(-1)
        return scores if bias is None else scores + bias[chosen]

    def answer(self, sources: Tensor, relations: Tensor) -> Tensor:
        """See `Scorer.answer`."""
        return self.compare(self.asked(sources, relations)[0])


def sizes_of(spec: DataSpec) -> tuple[int, int]:
    """Entities and relations of a graph."""
    return int(spec.summary["entities"]), int(spec.summary["relations"])
