"""Filtered ranks: where the right answer stands among all entities, other right answers left out.

A query is a source entity and a relation, numbered from 0 to R - 1 as it stands in the graph (head given, tail
asked) and from R on for its inverse (tail given, head asked).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from llm_lab.knowledge.triples import Ids, Triples

Numbers = npt.NDArray[np.int64]


class Queries(NamedTuple):
    """Questions and the answer that is looked for, each [B]."""

    sources: Tensor
    relations: Tensor
    targets: Tensor

    @classmethod
    def of(cls, triples: Tensor, relations: int) -> Queries:
        """Both questions of each triple [N, 3]: first all tails, then all heads, [2 N]."""
        head, relation, tail = triples.long().unbind(1)
        return cls(
            torch.cat([head, tail]), torch.cat([relation, relation + relations]), torch.cat([tail, head])
        )


class Answers:
    """The known answers of every query, as a sparse matrix in compressed rows (CSR).

    Args:
        triples: int [N, 3].
        relations: how many relations the graph has.
    """

    def __init__(self, *, triples: Ids, relations: int) -> None:
        head, relation, tail = np.asarray(triples, np.int64).T
        self.relations = relations
        keys = self._keys(np.concatenate([head, tail]), np.concatenate([relation, relation + relations]))
        pairs = np.unique(np.stack([keys, np.concatenate([tail, head])], axis=1), axis=0)
        self.keys, first = np.unique(pairs[:, 0], return_index=True)
        self.offsets: Numbers = np.append(first, len(pairs)).astype(np.int64)
        self.targets: Numbers = np.ascontiguousarray(pairs[:, 1])

    @classmethod
    def known(cls, triples: Triples) -> Answers:
        """All that the graph's splits say."""
        return cls(triples=triples.everything, relations=len(triples.relations))

    def __len__(self) -> int:
        return len(self.keys)

    def _keys(self, sources: Numbers, relations: Numbers) -> Numbers:
        return sources * (2 * self.relations) + relations

    @property
    def queries(self) -> Numbers:
        """Source and relation of every query that has an answer, [Q, 2]."""
        return np.stack(np.divmod(self.keys, 2 * self.relations), axis=1)

    def cells(self, sources: Tensor, relations: Tensor) -> tuple[Tensor, Tensor]:
        """Row of the batch and entity of each known answer, [K] each, rows ascending.

        Args:
            sources: [B].
            relations: [B], from 0 to 2 R - 1.
        """
        if not len(self.keys):
            return torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
        keys = self._keys(sources.numpy(force=True), relations.numpy(force=True))
        places = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        counts = np.where(self.keys[places] == keys, self.offsets[places + 1] - self.offsets[places], 0)
        rows = np.repeat(np.arange(len(keys)), counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        columns = self.targets[np.repeat(self.offsets[places], counts) + within]
        return torch.from_numpy(rows).to(sources.device), torch.from_numpy(columns).to(sources.device)


class Ranks(NamedTuple):
    """Ranks from 1, [B] each: with all that tie with the answer behind it, and before it."""

    optimistic: Tensor
    pessimistic: Tensor

    @property
    def realistic(self) -> Tensor:
        """The mean of both (Berrendorf et al. 2020, https://arxiv.org/abs/2002.06914), float64 [B]."""
        return (self.optimistic + self.pessimistic).double() / 2


def filtered_ranks(scores: Tensor, targets: Tensor, known: tuple[Tensor, Tensor]) -> Ranks:
    """Ranks of the targets among all entities but the other known answers (Bordes et al. 2013).

    A score that is no number is above none, and every other score above it.

    Args:
        scores: [B, E], higher is better; not changed.
        targets: [B].
        known: cells of known answers as `Answers.cells` gives them; whether the targets are among them is the same.
    """
    rows, columns = known
    reached = scores.gather(1, targets[:, None])
    kept = columns != targets[rows]
    rows, columns = rows[kept], columns[kept]
    others = torch.nan_to_num(scores[rows, columns], nan=-torch.inf)
    bar = reached[rows, 0]

    def count(compared: Tensor, among_known: Tensor) -> Tensor:
        left_out = torch.bincount(rows[among_known], minlength=len(targets))
        return compared.sum(1) - left_out

    above = count(scores > reached, others > bar)
    level = count(scores >= reached, others >= bar)  # the target itself among them
    lost = torch.isnan(reached[:, 0])
    candidates = scores.shape[1] - torch.bincount(rows, minlength=len(targets))
    optimistic = torch.where(lost, candidates, above + 1)
    return Ranks(optimistic, torch.where(lost, candidates, level))
