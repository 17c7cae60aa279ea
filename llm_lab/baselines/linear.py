"""A linear model over plain features: pixels, means of spectrogram bands, numbers and categories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from llm_lab.baselines.baseline import Classifier, Row, Scores, targets
from llm_lab.data.spec import DataSpec


class Linear(Classifier):
    """Logistic regression over each row's ``features``; per label for label sets, ridge regression for numbers.

    Texts have no features here: `llm_lab.baselines.tfidf.TfIdf` reads them.

    Args:
        strength: inverse of the regularization.
        max_rows: at most so many training rows, evenly spaced, so that memory has a bound.
        iterations: of the logistic regression.
    """

    def __init__(self, *, strength: float = 0.01, max_rows: int = 10_000, iterations: int = 200) -> None:
        self.strength, self.max_rows, self.iterations = strength, max_rows, iterations

    def fit(self, rows: Iterable[Row], spec: DataSpec) -> None:
        """Learn the weights."""
        self.spec = spec
        every = max(1, -(-spec.sizes["train"] // self.max_rows))
        chosen = [row for number, row in enumerate(rows) if number % every == 0]
        labels = targets((row["label"] for row in chosen), spec)
        self.model = make_pipeline(StandardScaler(), self._linear()).fit(_matrix(chosen), labels)

    def predict_proba(self, rows: Iterable[Row]) -> Scores:
        """Probabilities [N, C] or values [N]; a label that never occurred in training has probability 0."""
        matrix = _matrix(rows)
        if self.spec.problem == "regression":
            return np.asarray(self.model.predict(matrix), np.float64)
        known = np.asarray(self.model.predict_proba(matrix), np.float64)
        if self.spec.problem == "multi_label":
            return known
        scores = np.zeros((len(known), self.spec.outputs))
        scores[:, self.model.classes_] = known
        return scores

    def _linear(self) -> Any:
        if self.spec.problem == "regression":
            return Ridge(alpha=1.0 / self.strength)
        logistic = LogisticRegression(C=self.strength, max_iter=self.iterations)
        return OneVsRestClassifier(logistic) if self.spec.problem == "multi_label" else logistic


def _matrix(rows: Iterable[Row]) -> Any:
    return np.stack([row["features"] for row in rows])
