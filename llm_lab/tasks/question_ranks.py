"""Ranks of answers to questions: the best placed right one among all that are not right."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from llm_lab.knowledge.ranking import Ranks, filtered_ranks
from llm_lab.knowledge.triples import Triples
from llm_lab.tasks.rank_metrics import Kept

SHOWN = 40  # paths in the table, the most frequent first


def answer_ranks(scores: Tensor, rows: Tensor, answers: Tensor) -> Ranks:
    """Ranks [B] of the best right answer of each question, the other right ones left out.

    Args:
        scores: [B, E], higher is better.
        rows: question of each right answer [K].
        answers: the right answers [K]; every question has one.
    """
    right = torch.full_like(scores, -torch.inf)
    right[rows, answers] = scores[rows, answers]
    return filtered_ranks(scores, right.argmax(1), (rows, answers))


def mixtures(parts: int, steps: int) -> Tensor:
    """All weights [C, parts] in so many steps that sum to 1, the most even first: of equal ones that is taken."""
    table = torch.tensor(_sums(parts, steps), dtype=torch.float32) / steps
    return table[table.square().sum(1).argsort(stable=True)]


def _sums(parts: int, total: int) -> list[list[int]]:
    if parts == 1:
        return [[total]]
    return [[first, *rest] for first in range(total + 1) for rest in _sums(parts - 1, total - first)]


class Found(NamedTuple):
    """A split's losses [N], steps [N, H] and ranks [N, C] under each mixture."""

    losses: Tensor
    steps: Tensor
    ranks: Ranks

    def column(self, number: int) -> Ranks:
        """The ranks [N] under one mixture."""
        return Ranks(self.ranks.optimistic[:, number], self.ranks.pessimistic[:, number])


class AskedQuestions(Kept):
    """Every question of a split with the ranks of its answer."""

    names = ("index", "losses", "steps", "optimistic", "pessimistic")

    def flush(self) -> Found:
        """All of them in the order of the rows; starts afresh."""
        whole = self.compute()
        self.reset()
        order = torch.argsort(whole["index"], stable=True)
        found = {name: value[order] for name, value in whole.items()}
        return Found(found["losses"], found["steps"], Ranks(found["optimistic"], found["pessimistic"]))


def hits_at_1(ranks: Ranks) -> float:
    """Share of the questions whose answer is the first."""
    return float((ranks.realistic <= 1).double().mean())


def paths_table(ranks: Ranks, steps: Tensor, triples: Triples) -> list[dict[str, Any]]:
    """A row per sequence of relations: questions, hits@1, MRR."""
    kinds, numbers = torch.unique(steps, dim=0, return_inverse=True)
    rows: list[dict[str, Any]] = []
    for number, kind in enumerate(kinds.tolist()):
        own = ranks.realistic[numbers == number]
        names = [triples.label(triples.relations[one]) for one in kind if one < len(triples.relations)]
        figures = {"hits@1": float((own <= 1).double().mean()), "MRR": float((1 / own).mean())}
        rows.append({"relations": ", ".join(names), "questions": len(own), **figures})
    return sorted(rows, key=lambda row: -int(row["questions"]))[:SHOWN]
