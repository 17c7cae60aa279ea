"""The most frequent answers of a relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from llm_lab.baselines.baseline import Baseline, Source
from llm_lab.data.spec import DataSpec, Split
from llm_lab.knowledge.ranking import Answers, Queries, Ranks, filtered_ranks
from llm_lab.knowledge.triples import Triples, read_triples
from llm_lab.tasks.metrics import collection

BATCH = 256  # triples ranked together


class Frequency(Baseline):
    """Scores an entity by how often it is the tail, or the head, of the relation in training."""

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """See `Baseline.evaluate`."""
        del data
        triples = read_triples(spec.folder)
        counts, known = answer_counts(triples), Answers.known(triples)
        scores = collection(metrics)
        ids = torch.from_numpy(np.array(triples.splits[split], np.int64))
        for part in torch.split(ids, BATCH):
            asked = Queries.of(part, len(triples.relations))
            cells = known.cells(asked.sources, asked.relations)
            ranks: Ranks = filtered_ranks(counts[asked.relations], asked.targets, cells)
            scores.update(ranks=ranks, heads=asked.relations >= len(triples.relations))
        return {name: float(value) for name, value in scores.compute().items()}


def answer_counts(triples: Triples) -> torch.Tensor:
    """How often each entity answers each relation in training, inverses after the relations: [2 R, E]."""
    head, relation, tail = np.asarray(triples.splits["train"], np.int64).T
    entities, relations = len(triples.entities), len(triples.relations)
    cells = np.concatenate([relation * entities + tail, (relation + relations) * entities + head])
    counts = np.bincount(cells, minlength=2 * relations * entities)
    return torch.from_numpy(counts.astype(np.float32)).view(2 * relations, entities)
