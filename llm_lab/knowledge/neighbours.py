"""What lies beside an entity in the training triples, and how much one relation says about another."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from llm_lab.knowledge.ranking import Numbers
from llm_lab.knowledge.triples import Ids

SMOOTHING = 5  # pairs added to those of a relation, so that few observations count less


class Neighbours:
    """Edges of both directions by their source, as compressed rows; inverse relations are numbered from R on.

    Args:
        triples: int [N, 3].
        entities: how many the graph has.
        relations: how many the graph has.
    """

    def __init__(self, *, triples: Ids, entities: int, relations: int) -> None:
        head, relation, tail = np.asarray(triples, np.int64).T
        self.entities, self.relations = entities, relations
        source = np.concatenate([head, tail])
        order = np.argsort(source, kind="stable")
        self.sources: Numbers = source[order]
        self.kinds: Numbers = np.concatenate([relation, relation + relations])[order]
        self.targets: Numbers = np.concatenate([tail, head])[order]
        self.offsets: Numbers = np.searchsorted(self.sources, np.arange(entities + 1))

    def of(self, entity: int) -> list[tuple[int, int]]:
        """Relation and neighbour of every edge of an entity."""
        places = slice(self.offsets[entity], self.offsets[entity + 1])
        return list(zip(self.kinds[places].tolist(), self.targets[places].tolist(), strict=True))

    def cells(self, sources: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Row of the batch [B], relation and neighbour of each edge, [K] each."""
        chosen = sources.numpy(force=True)
        counts = self.offsets[chosen + 1] - self.offsets[chosen]
        rows = np.repeat(np.arange(len(chosen)), counts)
        places = np.repeat(self.offsets[chosen], counts) + np.arange(counts.sum())
        places -= np.repeat(np.cumsum(counts) - counts, counts)
        found = np.stack([rows, self.kinds[places], self.targets[places]])
        rows_of, kinds, targets = torch.from_numpy(found).to(sources.device).unbind()
        return rows_of, kinds, targets

    def confidences(self) -> Tensor:
        """Of pairs that the second relation joins, the share that the first joins too: [2 R, 2 R].

        A relation says nothing about itself.
        """
        pairs, places = np.unique(self.sources * self.entities + self.targets, return_inverse=True)
        cells = np.unique(np.stack([places, self.kinds], axis=1), axis=0)
        joined = csr_matrix((np.ones(len(cells)), cells.T), (len(pairs), 2 * self.relations))
        both = torch.from_numpy((joined.T @ joined).toarray()).float()
        shares: Tensor = both / (both.diagonal() + SMOOTHING)
        return shares.fill_diagonal_(0)
