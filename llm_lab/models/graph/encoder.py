"""Graph convolutions: the vector of an entity is made from those of its neighbours."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.data.spec import DataSpec
from llm_lab.knowledge.triples import Ids, read_triples
from llm_lab.models.graph.bilinear import DistMult

Composition = Literal["multiply", "subtract", "correlate"]


class CompGCN(DistMult):
    """Neighbours composed with their relations, then DistMult (Vashishth et al. 2020, https://arxiv.org/abs/1911.03082).

    The whole graph is encoded at every step. What is saved is the DistMult of the encoded vectors.

    Args:
        spec: of the data; the training triples are read from its folder.
        dim: real numbers per vector.
        layers: steps from an entity to its neighbours.
        composition: of a neighbour with a relation: product, difference, or circular correlation.
        init: see `Embedding`.
        dropout: of the vectors between layers.
        edge_dropout: share of the edges that a training step leaves out.
        wrappers: of the model, for the task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        dim: int = 128,
        layers: int = 1,
        composition: Composition = "multiply",
        init: float = 0.1,
        dropout: float = 0.2,
        edge_dropout: float = 0.1,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(spec=spec, dim=dim, init=init, reciprocal=True, wrappers=wrappers)
        self.spec = spec
        self.composition, self.rate, self.edge_dropout = composition, dropout, edge_dropout
        self.steps = nn.ModuleList(self.layer(dim) for _ in range(layers))
        edges = torch.from_numpy(_edges(read_triples(spec.folder).splits["train"], self.relations))
        self.register_buffer("edges", edges, persistent=False)
        self._encoded: tuple[Tensor, Tensor] | None = None
        self._current: tuple[Tensor, Tensor] | None = None

    def layer(self, dim: int) -> nn.Module:
        """One step to the neighbours."""
        return _Composed(dim, self.composition)

    def encode(self) -> tuple[Tensor, Tensor]:
        """Vectors of entities [E, D] and relations [2 R, D] with their neighbours in them; kept in evaluation."""
        if self.training:
            self._encoded = None
            return self._encode()
        if self._encoded is None or self._encoded[0].requires_grad != torch.is_grad_enabled():
            self._encoded = self._encode()
        return self._encoded

    def train(self, mode: bool = True) -> CompGCN:  # noqa: FBT001, FBT002 - torch's own signature
        """As torch's; vectors that were kept are forgotten."""
        self._encoded = None
        super().train(mode)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Copies start without vectors of a graph that belongs to this one's autograd."""
        return {**self.__dict__, "_encoded": None, "_current": None}

    def _encode(self) -> tuple[Tensor, Tensor]:
        edges: Tensor = self.get_buffer("edges")
        if self.training and self.edge_dropout:
            edges = edges[:, torch.rand(edges.shape[1], device=edges.device) >= self.edge_dropout]
        entity: Tensor = self.entity
        relation: Tensor = self.relation
        for step in self.steps:
            entity, relation = step(entity, relation, edges)
            entity = F.dropout(entity, self.rate, self.training)
        return entity, relation

    def asked(self, sources: Tensor, relations: Tensor) -> tuple[Tensor, Tensor]:
        """See `Embedding.asked`; the candidates of the same step come from the same encoding."""
        entity, relation = self._current = self.encode()
        queries = self.query(entity.index_select(0, sources), relation.index_select(0, relations))
        return queries, queries.new_zeros(len(queries))

    def candidates(self) -> tuple[Tensor, Tensor | None]:
        """See `Embedding.candidates`."""
        entity, _ = self._current or self.encode()
        return entity, None

    def served(self) -> DistMult:
        """The DistMult of the encoded vectors."""
        plain = DistMult(spec=self.spec, dim=self.entity.shape[1])
        mode = self.training
        self.eval()
        with torch.no_grad():
            entity, relation = self.encode()
            plain.entity.copy_(entity)
            plain.relation.copy_(relation)
        self.train(mode)
        return plain.eval()


class RGCN(CompGCN):
    """A matrix per relation, mixed from a few (Schlichtkrull et al. 2018, https://arxiv.org/abs/1703.06103).

    Args:
        spec: see `CompGCN`.
        dim: see `CompGCN`.
        layers: see `CompGCN`.
        bases: matrices that those of the relations are mixed from.
        init: see `CompGCN`.
        dropout: see `CompGCN`.
        edge_dropout: see `CompGCN`.
        wrappers: see `CompGCN`.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        dim: int = 128,
        layers: int = 1,
        bases: int = 2,
        init: float = 0.1,
        dropout: float = 0.2,
        edge_dropout: float = 0.1,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        self.bases = bases
        super().__init__(
            spec=spec,
            dim=dim,
            layers=layers,
            init=init,
            dropout=dropout,
            edge_dropout=edge_dropout,
            wrappers=wrappers,
        )

    def layer(self, dim: int) -> nn.Module:
        """One step to the neighbours."""
        return _Mixed(dim, self.bases, 2 * self.relations)


class _Composed(nn.Module):
    """A neighbour composed with the relation, through a matrix for each direction and one for the entity itself."""

    def __init__(self, dim: int, composition: Composition) -> None:
        super().__init__()
        self.composition = composition
        self.forth, self.back, self.own, self.relation = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.loop = nn.Parameter(torch.ones(dim))
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, entity: Tensor, relation: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """New vectors of entities [E, D] and relations [2 R, D]."""
        heads = edges[1] >= len(relation) // 2
        around = (
            self._around(entity, relation, edges[:, ~heads]),
            self._around(entity, relation, edges[:, heads]),
        )
        own = self.own(_compose(entity, self.loop.expand_as(entity), self.composition))
        mixed = (self.forth(around[0]) + self.back(around[1]) + own) / 3
        return torch.tanh(self.norm(mixed.float())), self.relation(relation).float()

    def _around(self, entity: Tensor, relation: Tensor, edges: Tensor) -> Tensor:
        source, kind, target = edges
        messages = _compose(entity[source], relation[kind], self.composition)
        degree = torch.bincount(target, minlength=len(entity)).clamp(min=1)
        return torch.zeros_like(entity).index_add(0, target, messages) / degree[:, None]


class _Mixed(nn.Module):
    """Neighbours by relation, each kind of neighbour in equal parts."""

    def __init__(self, dim: int, bases: int, kinds: int) -> None:
        super().__init__()
        self.bases = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(bases))
        self.mixture = nn.Parameter(torch.randn(kinds, bases) / bases**0.5)
        self.own = nn.Linear(dim, dim)

    def forward(self, entity: Tensor, relation: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """New vectors of entities [E, D]; relations [2 R, D] stay as they are."""
        source, kind, target = edges
        cells, places = torch.unique(target * len(relation) + kind, return_inverse=True)
        shares = 1 / torch.bincount(places, minlength=len(cells))[places]
        weights = self.mixture[kind] * shares[:, None]
        around = torch.zeros_like(entity)
        for number, base in enumerate(self.bases):
            around = around.index_add(0, target, base(entity).float()[source] * weights[:, number, None])
        return torch.relu(self.own(entity).float() + around), relation


def _compose(vectors: Tensor, relations: Tensor, how: Composition) -> Tensor:
    if how == "multiply":
        return vectors * relations
    if how == "subtract":
        return vectors - relations
    product = torch.fft.rfft(vectors).conj() * torch.fft.rfft(relations)
    return torch.fft.irfft(product, n=vectors.shape[-1])


def _edges(train: Ids, relations: int) -> np.ndarray:
    """Source, relation and target of each training triple both ways, int64 [3, 2 N]."""
    head, relation, tail = np.asarray(train, np.int64).T
    return np.stack(
        [
            np.concatenate([head, tail]),
            np.concatenate([relation, relation + relations]),
            np.concatenate([tail, head]),
        ]
    )
