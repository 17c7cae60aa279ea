"""Answers to questions over a graph without reading them: the usual ones, and where the usual paths lead."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm_lab.baselines.baseline import Baseline, Row, Source
from llm_lab.data.spec import DataSpec, Split
from llm_lab.knowledge.triples import Triples, read_triples
from llm_lab.models.graph.walk import Walker
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.question_ranks import answer_ranks


class _Answers(Baseline):
    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """See `Baseline.evaluate`."""
        self.fit(data.rows("train"), read_triples(spec.folder))
        found = collection(metrics)
        for row in data.rows(split):
            answers = torch.tensor(row["ids"]["answers"])
            ranks = answer_ranks(
                self.scores(int(row["ids"]["topic"]))[None], torch.zeros_like(answers), answers
            )
            found.update(ranks=ranks, heads=torch.zeros(1, dtype=torch.bool))
        return {name: float(value) for name, value in found.compute().items()}

    @abstractmethod
    def fit(self, rows: Iterable[Row], triples: Triples) -> None:
        """Learn from the training questions."""

    @abstractmethod
    def scores(self, topic: int) -> Tensor:
        """Scores [E] of all entities as answers to a question about an entity."""


class CommonAnswer(_Answers):
    """The most frequent answers of training, whatever is asked."""

    def fit(self, rows: Iterable[Row], triples: Triples) -> None:
        """Count the answers."""
        answers = np.concatenate([np.empty(0, np.int64), *(row["ids"]["answers"] for row in rows)])
        counts = np.bincount(answers.astype(np.int64), minlength=len(triples.entities))
        self.counts = torch.from_numpy(counts.astype(np.float32))

    def scores(self, topic: int) -> Tensor:
        """The counts."""
        return self.counts


class CommonPath(_Answers):
    """Where the relations that training asks for most, step by step, lead from the entity that the question names."""

    def fit(self, rows: Iterable[Row], triples: Triples) -> None:
        """Count the relations of each step."""
        count = len(triples.relations)
        paths = [row["ids"]["relations"] for row in rows]
        chances = torch.zeros(1, max(map(len, paths)), count + 1)
        for path in paths:
            for place, relation in enumerate([*path, *[count] * (chances.shape[1] - len(path))]):
                chances[0, place, relation] += 1
        self.chances = chances / len(paths)
        self.walker = Walker(triples=triples.everything, entities=len(triples.entities), relations=count)

    def scores(self, topic: int) -> Tensor:
        """Chances of the walks."""
        found: Tensor = self.walker(torch.tensor([topic]), self.chances)[0]
        return found
