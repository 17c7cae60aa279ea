"""ConvE: a convolution over head and relation, laid side by side as a picture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.graph.embedding import Embedding

KERNEL = 3


class ConvE(Embedding):
    """Convolution, then a layer back to the width of entities (Dettmers et al. 2018, https://arxiv.org/abs/1707.01476).

    Relations are reciprocal, as there.

    Args:
        spec: see `Embedding`.
        dim: real numbers per vector, a multiple of `height`.
        height: rows of the picture of one vector.
        channels: of the convolution.
        init: see `Embedding`.
        dropout: of the vectors that go in.
        channel_dropout: of whole channels.
        query_dropout: of what comes out.
        wrappers: of the model, for the task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        dim: int = 200,
        height: int = 10,
        channels: int = 32,
        init: float = 0.1,
        dropout: float = 0.2,
        channel_dropout: float = 0.2,
        query_dropout: float = 0.3,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        del wrappers
        if dim % height or min(2 * height, dim // height) < KERNEL:
            raise ConfigError(
                f"model.dim: a multiple of height ({height}) by {KERNEL} or more is wanted, found {dim}"
            )
        super().__init__(spec=spec, dim=dim, relation_dim=dim, reciprocal=True, init=init, dropout=dropout)
        self.height, self.channel_dropout, self.query_dropout = height, channel_dropout, query_dropout
        cells = (2 * height - KERNEL + 1) * (dim // height - KERNEL + 1)
        self.filters = nn.Conv2d(1, channels, KERNEL)
        self.project = nn.Linear(channels * cells, dim)
        self.before, self.between, self.after = (
            nn.BatchNorm2d(1),
            nn.BatchNorm2d(channels),
            nn.BatchNorm1d(dim),
        )
        self.bias = nn.Parameter(torch.zeros(self.entities))

    def query(self, sources: Tensor, relations: Tensor) -> Tensor:
        """See `Embedding.query`."""
        width = sources.shape[1] // self.height
        pictures = torch.cat([one.view(-1, 1, self.height, width) for one in (sources, relations)], 2)
        maps = F.relu(self.between(self.filters(self.before(pictures))))
        states = self.project(F.dropout2d(maps, self.channel_dropout, self.training).flatten(1))
        return F.relu(self.after(F.dropout(states, self.query_dropout, self.training)))

    def candidates(self) -> tuple[Tensor, Tensor | None]:
        """See `Embedding.candidates`; frequent entities have a larger bias."""
        return self.entity, self.bias
