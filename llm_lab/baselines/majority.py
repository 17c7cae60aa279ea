"""The same answer to everything."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from llm_lab.baselines.baseline import Classifier, Row, Scores, targets
from llm_lab.data.spec import DataSpec


class Majority(Classifier):
    """Gives every row the label frequencies of the training rows, or the mean of their numbers."""

    def fit(self, rows: Iterable[Row], spec: DataSpec) -> None:
        """Count the labels."""
        truth = targets((row["label"] for row in rows), spec)
        if spec.problem == "single_label":
            self.answer = np.bincount(truth, minlength=spec.outputs) / len(truth)
        else:
            self.answer = truth.mean(axis=0)

    def predict_proba(self, rows: Iterable[Row]) -> Scores:
        """The frequencies once for each row."""
        count = sum(1 for _ in rows)
        return np.repeat(np.asarray(self.answer)[None], count, axis=0)
