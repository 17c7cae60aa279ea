"""Rules over a graph, ready to score queries on several threads."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np

from llm_lab.knowledge.rules.application import empty_proposals, score_queries
from llm_lab.knowledge.rules.cyclic import sources_of
from llm_lab.knowledge.rules.index import index_of
from llm_lab.knowledge.rules.ruleset import RuleSet
from llm_lab.knowledge.rules.walks import Floats, Ints, Walks

Aggregation = Literal["max", "noisy_or"]
BUDGET = 200_000  # steps of one rule for one query


class Engine:
    """Scores all entities as answers to queries by the rules that propose them.

    Args:
        walks: the graph that bodies are looked up in.
        rules: with signed relations of that graph.
        aggregation: ``max`` ranks by the greatest confidence, ties by the next ones (max+ of AnyBURL);
            ``noisy_or`` takes rules as independent: 1 - prod (1 - confidence).
        kept: confidences per candidate that ties are broken by.
        threads: 0 for as many as there are cores.
    """

    def __init__(
        self,
        walks: Walks,
        rules: RuleSet,
        *,
        aggregation: Aggregation = "max",
        kept: int = 20,
        threads: int = 0,
    ) -> None:
        self.walks, self.aggregation, self.kept = walks, aggregation, kept
        self.threads = threads or len(os.sched_getaffinity(0))
        self.index = index_of(rules, entities=walks.entities, relations=walks.relations)
        self.start, self.having = sources_of(walks, 0)

    def scores(self, sources: Ints, relations: Ints) -> Floats:
        """Scores [B, entities] of (source, signed relation) [B] each; 0 where no rule proposes an entity."""
        scores = np.zeros((len(sources), self.walks.entities), np.float32)
        parts = [part for part in np.array_split(np.arange(len(sources)), self.threads) if len(part)]
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(lambda part: self._fill(sources, relations, scores, part[0], part[-1] + 1), parts))
        return scores

    def _fill(self, sources: Ints, relations: Ints, scores: Floats, begin: int, end: int) -> None:
        score_queries(
            self.walks,
            self.index,
            sources[begin:end],
            relations[begin:end],
            self.start,
            self.having,
            self.aggregation == "noisy_or",
            BUDGET,
            empty_proposals(self.walks.entities, self.kept),
            scores[begin:end],
        )
