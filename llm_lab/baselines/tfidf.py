"""Weighted word or character counts and a linear model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier

from llm_lab.baselines.baseline import Classifier, Row, Scores, targets
from llm_lab.data.spec import DataSpec


class TfIdf(Classifier):
    """TF-IDF features with logistic regression; per label for label sets, ridge regression for numbers.

    Of pairs the features of either text, and the products of the two.

    Args:
        analyzer: ``word``, or ``char`` for languages written without spaces.
        ngrams: shortest and longest n-gram.
        min_count: n-grams in fewer training rows are left out.
        max_features: at most so many n-grams, the most frequent.
        strength: inverse of the regularization: C of the logistic regression.
        max_rows: at most so many training rows, evenly spaced, so that memory has a bound.
    """

    def __init__(
        self,
        *,
        analyzer: Literal["word", "char"] = "word",
        ngrams: Sequence[int] = (1, 2),
        min_count: int = 2,
        max_features: int = 500_000,
        strength: float = 3.0,
        max_rows: int = 100_000,
    ) -> None:
        shortest, longest = ngrams
        self.features = TfidfVectorizer(
            analyzer=analyzer,
            ngram_range=(shortest, longest),
            min_df=min_count,
            max_features=max_features,
            sublinear_tf=True,
        )
        self.strength = strength
        self.max_rows = max_rows

    def fit(self, rows: Iterable[Row], spec: DataSpec) -> None:
        """Learn the n-grams and their weights."""
        self.spec = spec
        labels: list[Any] = []
        matrix = self._matrix(self._sampled(rows, labels), self.features.fit_transform)
        self.model = self._linear().fit(matrix, targets(labels, spec))

    def predict_proba(self, rows: Iterable[Row]) -> Scores:
        """Probabilities [N, C] or values [N]; a label that never occurred in training has probability 0."""
        matrix = self._matrix(rows, self.features.transform)
        if self.spec.problem == "regression":
            return np.asarray(self.model.predict(matrix))
        known = np.asarray(self.model.predict_proba(matrix))
        if self.spec.problem == "multi_label":
            return known
        scores = np.zeros((len(known), self.spec.outputs))
        scores[:, self.model.classes_] = known
        return scores

    def _matrix(self, rows: Iterable[Row], count: Callable[[Iterable[str]], Any]) -> Any:
        """Features of the texts; of pairs those of either and of what they share."""
        rows = iter(rows)
        first = next(rows)
        if "pair" not in first:
            return count(row["text"] for row in chain([first], rows))
        both = [text for row in chain([first], rows) for text in (row["text"], row["pair"])]
        matrix = count(both)
        one, two = matrix[::2], matrix[1::2]
        return hstack([one, two, one.multiply(two)], format="csr")

    def _sampled(self, rows: Iterable[Row], labels: list[Any]) -> Iterator[Row]:
        every = max(1, -(-self.spec.sizes["train"] // self.max_rows))
        for number, row in enumerate(rows):
            if number % every == 0:
                labels.append(row["label"])
                yield row

    def _linear(self) -> Any:
        if self.spec.problem == "regression":
            return Ridge(alpha=1.0 / self.strength)
        logistic = LogisticRegression(C=self.strength, max_iter=1000)
        return OneVsRestClassifier(logistic) if self.spec.problem == "multi_label" else logistic
