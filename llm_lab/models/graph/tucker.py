"""TuckER: a shared tensor says how every relation acts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.data.spec import DataSpec
from llm_lab.models.graph.embedding import Embedding


class TuckER(Embedding):
    """A core tensor times head, relation and tail (Balazevic et al. 2019, https://arxiv.org/abs/1901.09590).

    Relations are reciprocal, as there.

    Args:
        spec: see `Embedding`.
        dim: real numbers per entity.
        relation_dim: real numbers per relation; null for as many as an entity has.
        init: see `Embedding`.
        dropout: of the vectors that go in.
        core_dropout: of the matrix of a relation.
        query_dropout: of what comes out.
        wrappers: of the model, for the task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        dim: int = 200,
        relation_dim: int | None = None,
        init: float = 0.1,
        dropout: float = 0.2,
        core_dropout: float = 0.2,
        query_dropout: float = 0.3,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        del wrappers
        width = relation_dim or dim
        super().__init__(
            spec=spec, dim=dim, relation_dim=width, reciprocal=True, init=init, dropout=dropout
        )
        self.core = nn.Parameter(torch.empty(width, dim, dim).uniform_(-1, 1) / width**0.5)
        self.core_dropout, self.query_dropout = core_dropout, query_dropout
        self.before, self.after = nn.BatchNorm1d(dim), nn.BatchNorm1d(dim)

    def query(self, sources: Tensor, relations: Tensor) -> Tensor:
        """See `Embedding.query`."""
        matrices = torch.tensordot(relations, self.core, dims=1)
        matrices = F.dropout(matrices, self.core_dropout, self.training)
        moved = torch.bmm(self.before(sources)[:, None], matrices)[:, 0]
        return F.dropout(self.after(moved), self.query_dropout, self.training)
