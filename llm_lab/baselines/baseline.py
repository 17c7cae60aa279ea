"""What a baseline is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_lab.data.spec import DataSpec

Row = Mapping[str, Any]
Scores = NDArray[np.float64]


class Baseline(ABC):
    """Learns from raw rows, without a tokenizer, a model or a trainer.

    A row has a ``text`` and a ``label``: a name, a list of names, or a number.
    """

    @abstractmethod
    def fit(self, rows: Iterable[Row], spec: DataSpec) -> None:
        """Learn from the training rows, read once."""

    @abstractmethod
    def predict_proba(self, rows: Iterable[Row]) -> Scores:
        """Probabilities [N, C] in the order of the spec's labels; values [N] where the target is a number."""


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
