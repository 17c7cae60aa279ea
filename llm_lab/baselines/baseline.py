"""What a baseline is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from llm_lab.data.spec import DataSpec, Split
from llm_lab.tasks.metrics import build_metrics

Row = Mapping[str, Any]
Scores = NDArray[np.float64]


class Source(Protocol):
    """The part of a data module that a baseline needs."""

    def rows(self, split: Split) -> Iterable[Row]:
        """Raw rows of a split."""


class Baseline(ABC):
    """Learns from raw rows, without a model or a trainer, and is measured as the model is."""

    @abstractmethod
    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """Learn from the training rows; values on another split by the names of the task's metrics.

        Args:
            data: gives raw rows.
            spec: of the data.
            metrics: torchmetrics nodes by name, those of the task.
            split: the split to measure on.
        """


class Classifier(Baseline):
    """Gives labels or numbers to rows that have a ``text`` and a ``label``: a name, a list of names, a number."""

    @abstractmethod
    def fit(self, rows: Iterable[Row], spec: DataSpec) -> None:
        """Learn from the training rows, read once."""

    @abstractmethod
    def predict_proba(self, rows: Iterable[Row]) -> Scores:
        """Probabilities [N, C] in the order of the spec's labels; values [N] where the target is a number."""

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """See `Baseline.evaluate`."""
        self.fit(data.rows("train"), spec)
        truth = torch.from_numpy(targets((row["label"] for row in data.rows(split)), spec))
        return measure(self.predict_proba(data.rows(split)), truth, spec=spec, metrics=metrics)


def measure(
    scores: Scores, truth: torch.Tensor, *, spec: DataSpec, metrics: Mapping[str, Any]
) -> dict[str, float]:
    """Metrics of probabilities [N, C] or values [N] against class numbers, label sets [N, C] or values."""
    collection = build_metrics(metrics, spec)
    truth = truth.float() if spec.problem == "regression" else truth
    collection.update(torch.from_numpy(scores).float(), truth)
    return {name: float(value) for name, value in collection.compute().items()}


def targets(labels: Iterable[Any], spec: DataSpec) -> NDArray[Any]:
    """Labels as scikit-learn and torchmetrics want them.

    Class numbers [N] for single labels, zeros and ones [N, C] for label sets, values [N] for numbers.
    """
    if spec.problem == "regression":
        return np.array([float(label) for label in labels])
    number = {name: index for index, name in enumerate(spec.labels)}
    if spec.problem == "single_label":
        return np.array([number[label] for label in labels])
    return np.array([[name in set(row) for name in spec.labels] for row in labels], dtype=np.int64)
