"""Texts written without a model: the most frequent one, the most frequent word, and that of the most similar row."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from llm_lab.baselines.baseline import Baseline, Row, Source
from llm_lab.data.spec import DataSpec, Split
from llm_lab.tasks.writing_metrics import text_metrics


class Transcripts(Baseline):
    """Writes a text for each row, whose ``label`` is the true one."""

    @abstractmethod
    def write(self, known: Iterable[Row], rows: Iterable[Row], *, spec: DataSpec) -> list[str]:
        """Texts of rows, by training rows, each read once."""

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """See `Baseline.evaluate`."""
        said = self.write(data.rows("train"), data.rows(split), spec=spec)
        scores = text_metrics(metrics)
        scores.update(said, [row["label"] for row in data.rows(split)])
        return {name: float(value) for name, value in scores.compute().items()}


class CommonText(Transcripts):
    """The most frequent text of training for each row, the first of several."""

    def write(self, known: Iterable[Row], rows: Iterable[Row], *, spec: DataSpec) -> list[str]:
        """See `Transcripts`."""
        ((text, _),) = Counter(row["label"] for row in known).most_common(1)
        return [text for _ in rows]


class CommonWords(Transcripts):
    """For each row the most frequent word of training, as often as a text there has words on average."""

    def write(self, known: Iterable[Row], rows: Iterable[Row], *, spec: DataSpec) -> list[str]:
        """See `Transcripts`."""
        counts: Counter[str] = Counter()
        for row in known:
            counts.update(row["label"].split())
        word = min(counts, key=lambda one: (-counts[one], one))
        text = " ".join([word] * round(counts.total() / spec.sizes["train"]))
        return [text for _ in rows]


class NearestRow(Transcripts):
    """The text of the training row with the nearest plain features: means of bands, and how they vary.

    Args:
        max_rows: at most so many training rows, evenly spaced, so that memory has a bound.
    """

    def __init__(self, *, max_rows: int = 10_000) -> None:
        self.max_rows = max_rows

    def write(self, known: Iterable[Row], rows: Iterable[Row], *, spec: DataSpec) -> list[str]:
        """See `Transcripts`."""
        every = max(1, -(-spec.sizes["train"] // self.max_rows))
        chosen = [row for number, row in enumerate(known) if number % every == 0]
        nearest = make_pipeline(StandardScaler(), NearestNeighbors(n_neighbors=1))
        nearest.fit(np.stack([row["features"] for row in chosen]))
        asked = nearest[:-1].transform(np.stack([row["features"] for row in rows]))
        places = nearest[-1].kneighbors(asked, return_distance=False)[:, 0]
        return [chosen[place]["label"] for place in places]
