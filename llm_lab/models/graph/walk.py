"""Steps through a graph along relations that are only likely: where they lead, and the likeliest way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from llm_lab.knowledge.triples import Ids


class Step(NamedTuple):
    """A step of a path, by ids."""

    head: int
    relation: int
    tail: int


class Walker(nn.Module):
    """Walks all triples of a graph at once; the relation numbered R stays at every entity, for paths that have ended.

    Args:
        triples: int [N, 3].
        entities: how many there are, E.
        relations: how many there are, R.
    """

    edges: Tensor  # [3, N + E]: heads, relations, tails

    def __init__(self, *, triples: Ids, entities: int, relations: int) -> None:
        super().__init__()
        self.entities, self.relations = entities, relations
        own = np.arange(entities)
        stay = np.stack([own, np.full(entities, relations), own], axis=1)
        edges = np.concatenate([np.unique(np.asarray(triples, np.int64), axis=0), stay])
        self.register_buffer("edges", torch.from_numpy(np.ascontiguousarray(edges.T)), persistent=False)

    def forward(self, topics: Tensor, chances: Tensor) -> Tensor:
        """The chances of all paths that end at each entity, summed: [B, E] in [0, 1].

        A soft walk as in TransferNet (Shi et al. 2021, https://arxiv.org/abs/2104.07302).

        Args:
            topics: where the walks begin [B].
            chances: of each relation at each step [B, H, R + 1].
        """
        heads, relations, tails = self.edges
        where = torch.zeros(len(topics), self.entities, device=topics.device)
        where[torch.arange(len(topics), device=topics.device), topics] = 1
        for step in chances.float().unbind(1):
            moved = where[:, heads] * step[:, relations]
            where = torch.zeros_like(where).index_add(1, tails, moved)
        return where.clamp(max=1)

    def best(self, topic: int, chances: Tensor, answer: int) -> list[Step]:
        """The likeliest path from a topic to an answer, steps that stay left out; empty where none leads there.

        Args:
            topic: where it begins.
            chances: [H, R + 1].
            answer: where it ends.
        """
        heads, relations, tails = self.edges.numpy(force=True)
        reached = np.full(self.entities, -np.inf)
        reached[topic], back = 0.0, []
        for step in chances.double().log().numpy(force=True):
            values = reached[heads] + step[relations]
            order = np.argsort(
                values, kind="stable"
            )  # of those that lead to one entity the best is written last
            edge = np.full(self.entities, -1)
            edge[tails[order]] = order
            reached = np.where(edge >= 0, values[edge], -np.inf)
            back.append(edge)
        if not np.isfinite(reached[answer]):
            return []
        path: list[Step] = []
        for edge in reversed(back):
            chosen = edge[answer]
            path.append(Step(int(heads[chosen]), int(relations[chosen]), int(tails[chosen])))
            answer = heads[chosen]
        return [one for one in reversed(path) if one.relation != self.relations]
