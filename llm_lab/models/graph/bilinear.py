"""Models whose score is linear in the head, the relation and the tail."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from llm_lab.data.spec import DataSpec
from llm_lab.models.graph.embedding import Embedding


class DistMult(Embedding):
    """Sum of h r t over the dimensions (Yang et al. 2015, https://arxiv.org/abs/1412.6575).

    Without reciprocal relations it cannot tell a relation from its inverse.

    Args:
        spec: see `Embedding`.
        dim: real numbers per vector.
        reciprocal: see `Embedding`.
        init: see `Embedding`.
        dropout: see `Embedding`.
        n3: weight of the nuclear 3-norm of each query's vectors.
        wrappers: of the model, for the task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        dim: int = 256,
        reciprocal: bool = True,
        init: float = 0.1,
        dropout: float = 0.0,
        n3: float = 0.0,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        del wrappers
        super().__init__(
            spec=spec,
            dim=dim,
            relation_dim=dim,
            reciprocal=reciprocal,
            init=init,
            dropout=dropout,
            penalty_weight=n3,
        )

    def query(self, sources: Tensor, relations: Tensor) -> Tensor:
        """See `Embedding.query`."""
        return sources * relations


class ComplEx(DistMult):
    """Real part of h r conj(t), over complex numbers (Trouillon et al. 2016, https://arxiv.org/abs/1606.06357).

    A vector holds the real parts, then the imaginary ones. With `reciprocal` and `n3` it is the ComplEx-N3 of
    Lacroix et al. 2018.

    Args:
        spec: see `DistMult`.
        dim: real numbers per vector, two for each complex one.
        reciprocal: see `DistMult`.
        init: see `DistMult`.
        dropout: see `DistMult`.
        n3: see `DistMult`.
        wrappers: see `DistMult`.
    """

    halved = True

    def query(self, sources: Tensor, relations: Tensor) -> Tensor:
        """See `Embedding.query`."""
        (real, imaginary), (turn, twist) = sources.chunk(2, 1), relations.chunk(2, 1)
        return torch.cat([real * turn - imaginary * twist, real * twist + imaginary * turn], 1)

    def inverted(self, relations: Tensor) -> Tensor:
        """The conjugate."""
        real, imaginary = relations.chunk(2, 1)
        return torch.cat([real, -imaginary], 1)

    def magnitudes(self, vectors: Tensor) -> Tensor:
        """Moduli of the complex numbers."""
        real, imaginary = vectors.chunk(2, 1)
        return (real.square() + imaginary.square() + 1e-12).sqrt()


class SimplE(DistMult):
    """Two products, one of each direction, averaged (Kazemi and Poole 2018, https://arxiv.org/abs/1802.04868).

    An entity's vector holds what it is as a head, then what it is as a tail; a relation's its own direction, then
    the other.

    Args:
        spec: see `DistMult`.
        dim: real numbers per vector, half for each role.
        reciprocal: see `DistMult`.
        init: see `DistMult`.
        dropout: see `DistMult`.
        n3: see `DistMult`.
        wrappers: see `DistMult`.
    """

    halved = True

    def query(self, sources: Tensor, relations: Tensor) -> Tensor:
        """See `Embedding.query`."""
        (as_head, as_tail), (forth, back) = sources.chunk(2, 1), relations.chunk(2, 1)
        return torch.cat([as_tail * back, as_head * forth], 1) / 2

    def inverted(self, relations: Tensor) -> Tensor:
        """The other direction first."""
        return torch.cat(list(reversed(relations.chunk(2, 1))), 1)
