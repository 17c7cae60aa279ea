"""Captions without a language model: the commonest one, and that of the row that looks most alike."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from llm_lab.baselines.baseline import Baseline, Row, Source
from llm_lab.data.spec import DataSpec, Split
from llm_lab.tasks.captioning import split as divided
from llm_lab.tasks.metrics import collection


class Captions(Baseline):
    """Gives a text to rows that have ``features`` and a ``label``, their own text."""

    @abstractmethod
    def fit(self, rows: Iterable[Row], spec: DataSpec) -> None:
        """Learn from the training rows, read once."""

    @abstractmethod
    def write(self, rows: Iterable[Row]) -> list[str]:
        """A text for each row."""

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """The metrics that compare texts; see `Baseline.evaluate`."""
        self.fit(data.rows("train"), spec)
        _, texts = divided(collection(metrics))
        wanted = [[str(row["label"])] for row in data.rows(split)]
        texts.update(preds=self.write(data.rows(split)), target=wanted)
        return {name: float(value) for name, value in texts.compute().items()}


class CommonCaption(Captions):
    """The most frequent caption of the training rows, the first of several."""

    def fit(self, rows: Iterable[Row], spec: DataSpec) -> None:
        """Count."""
        ((self.caption, _),) = Counter(str(row["label"]) for row in rows).most_common(1)

    def write(self, rows: Iterable[Row]) -> list[str]:
        """The same for each row."""
        return [self.caption for _ in rows]


class NearestCaption(Captions):
    """The caption of the training row whose plain features (pixels, spectrogram bands, numbers) are nearest.

    Args:
        max_rows: at most so many training rows, evenly spaced, so that memory has a bound.
    """

    def __init__(self, *, max_rows: int = 10_000) -> None:
        self.max_rows = max_rows

    def fit(self, rows: Iterable[Row], spec: DataSpec) -> None:
        """Keep the rows."""
        every = max(1, -(-spec.sizes["train"] // self.max_rows))
        chosen = [row for number, row in enumerate(rows) if number % every == 0]
        self.captions = [str(row["label"]) for row in chosen]
        self.index = NearestNeighbors(n_neighbors=1).fit(np.stack([row["features"] for row in chosen]))

    def write(self, rows: Iterable[Row]) -> list[str]:
        """Those of the nearest rows, by Euclidean distance."""
        found = self.index.kneighbors(np.stack([row["features"] for row in rows]), return_distance=False)
        return [self.captions[number] for number in found[:, 0]]
