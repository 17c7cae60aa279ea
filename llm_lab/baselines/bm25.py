"""Retrieval by shared words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bm25s
import numpy as np
import torch
from torch import Tensor

from llm_lab.baselines.baseline import Baseline, Source
from llm_lab.baselines.retrieval import TextPairs, measure_ranks
from llm_lab.data.spec import DataSpec, Split
from llm_lab.tasks.ranking import ranked


class BM25(Baseline):
    """Okapi BM25 (Robertson and Zaragoza 2009) over the texts of the split itself; nothing is learned.

    Args:
        k1: how soon a word's frequency in a text saturates.
        b: how much long texts are discounted.
        stopwords: language whose most frequent words are left out, ``en`` for one; None keeps all words.
    """

    def __init__(self, *, k1: float = 1.5, b: float = 0.75, stopwords: str | None = "en") -> None:
        self.k1, self.b, self.stopwords = k1, b, stopwords

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """See `Baseline.evaluate`."""
        del spec
        found = TextPairs.of(data.rows(split))
        _, forward = ranked(self.scores(found.queries, found.keys), found.row, found.column)
        _, back = ranked(self.scores(found.keys, found.queries), found.column, found.row)
        return measure_ranks(metrics, forward, back)

    def scores(self, queries: Sequence[str], texts: Sequence[str]) -> Tensor:
        """[Q, K]: zero for texts without a word of the query."""
        index = bm25s.BM25(k1=self.k1, b=self.b)
        index.index(self._words(texts), show_progress=False)
        rows = [index.get_scores(words) for words in self._words(queries)]
        return torch.from_numpy(np.stack(rows).astype(np.float32))

    def _words(self, texts: Sequence[str]) -> list[list[str]]:
        words: list[list[str]] = bm25s.tokenize(
            list(texts), stopwords=self.stopwords, return_ids=False, show_progress=False
        )
        return words
