"""From predictions to what a report shows: confusions, calibration, scores per class, worst mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

Array = NDArray[Any]
BINS = 15  # as torchmetrics' CalibrationError by default
THRESHOLD = 0.5  # from which on a label belongs to a set


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Predictions of about the same confidence: how many, how confident, how often right."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """How one class fared."""

    name: str
    precision: float
    recall: float
    f1: float
    rows: int


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One wrong row; ``weight`` orders mistakes: confidence in the wrong label, or size of the error."""

    index: int
    predicted: str
    actual: str
    weight: float
    text: str = ""


def arrays(predictions: Mapping[str, Any]) -> dict[str, Array]:
    """Return ``index`` [N], ``probabilities`` and ``labels`` as NumPy arrays."""
    names = ("index", "probabilities", "labels")
    found = {name: np.atleast_1d(np.asarray(predictions[name])) for name in names}
    rows = len(found["index"])
    return {
        name: value.reshape(rows, *value.shape[1:]) if len(value) == rows else value.reshape(rows, -1)
        for name, value in found.items()
    }


def confusions(probabilities: Array, labels: Array) -> Array:
    """Return counts [C, C]: actual classes in rows, predicted ones in columns."""
    classes = range(probabilities.shape[1])
    counts: Array = confusion_matrix(labels, probabilities.argmax(axis=1), labels=list(classes))
    return counts


def confused_pairs(counts: Array, names: Sequence[str], *, most: int = 12) -> list[tuple[str, str, int]]:
    """Return (actual, predicted, times) for the most frequent confusions."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(wrong, axis=None, kind="stable")[::-1][:most]
    cells = [np.unravel_index(cell, wrong.shape) for cell in order]
    return [
        (names[row], names[column], int(wrong[row, column])) for row, column in cells if wrong[row, column]
    ]


def per_class(probabilities: Array, labels: Array, names: Sequence[str], *, sets: bool) -> list[ClassScore]:
    """Return precision, recall and F1 of every class, or of every label of a set."""
    predicted = (probabilities > THRESHOLD).astype(int) if sets else probabilities.argmax(axis=1)
    columns = precision_recall_fscore_support(
        labels, predicted, labels=list(range(len(names))), average=None, zero_division=0
    )
    rows = zip(names, *columns, strict=True)
    return [
        ClassScore(name=name, precision=float(p), recall=float(r), f1=float(f), rows=int(n))
        for name, p, r, f, n in rows
    ]


def per_type(metrics: Mapping[str, Any]) -> list[ClassScore]:
    """Return the scores of each type of entity from ``test/f1/TYPE`` and so on, and their means; none without types."""
    prefix, names = "test/support/", ("precision", "recall", "f1")
    found = [
        ClassScore(
            name=kind, rows=int(support), **{name: float(metrics[f"test/{name}/{kind}"]) for name in names}
        )
        for kind, support in (
            (key.removeprefix(prefix), value) for key, value in metrics.items() if key.startswith(prefix)
        )
    ]
    if not found:
        return []
    means = {name: sum(getattr(row, name) for row in found) / len(found) for name in names}
    return [*found, ClassScore(name="mean (macro)", rows=sum(row.rows for row in found), **means)]


def confidence(probabilities: Array, labels: Array, *, sets: bool) -> tuple[Array, Array]:
    """Return how sure each decision was, and whether it was right; a label set is one decision per label."""
    if sets:
        right = (probabilities > THRESHOLD) == labels
        return np.maximum(probabilities, 1 - probabilities).ravel(), right.ravel()
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def calibration(confident: Array, right: Array, *, bins: int = BINS) -> tuple[list[Bin], float]:
    """Return the filled bins of equal width, and the expected calibration error.

    Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599.
    """
    place = np.clip(np.ceil(confident * bins).astype(int) - 1, 0, bins - 1)
    filled = [
        Bin(
            count=int(inside.sum()),
            confidence=float(confident[inside].mean()),
            accuracy=float(right[inside].mean()),
        )
        for inside in (place == number for number in range(bins))
        if inside.any()
    ]
    error = sum(one.count * abs(one.accuracy - one.confidence) for one in filled) / max(1, len(confident))
    return filled, error


def accuracy_interval(right: Array, *, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the accuracy over the test rows (percentile method)."""
    drawn = np.random.default_rng(seed).binomial(len(right), right.mean(), size=resamples) / len(right)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def mistakes(predictions: Mapping[str, Array], problem: str, names: Sequence[str]) -> list[Mistake]:
    """Return all wrong rows, the worst first; for numbers all rows by the size of their error."""
    index, probabilities, labels = (predictions[name] for name in ("index", "probabilities", "labels"))
    if problem == "regression":
        found = _wrong_numbers(index, probabilities.reshape(len(index)), labels)
    elif problem == "multi_label":
        found = _wrong_sets(index, probabilities, labels.astype(bool), names)
    else:
        found = _wrong_labels(index, probabilities, labels, names)
    return sorted(found, key=lambda mistake: -mistake.weight)


def _wrong_labels(index: Array, probabilities: Array, labels: Array, names: Sequence[str]) -> list[Mistake]:
    predicted = probabilities.argmax(axis=1)
    return [
        Mistake(
            index=int(index[row]),
            predicted=names[predicted[row]],
            actual=names[int(labels[row])],
            weight=float(probabilities[row, predicted[row]]),
        )
        for row in np.flatnonzero(predicted != labels)
    ]


def _wrong_sets(index: Array, probabilities: Array, labels: Array, names: Sequence[str]) -> list[Mistake]:
    predicted = probabilities > THRESHOLD
    surest = np.where(predicted != labels, np.maximum(probabilities, 1 - probabilities), 0).max(axis=1)

    def join(chosen: Array) -> str:
        return ", ".join(name for name, one in zip(names, chosen, strict=True) if one) or "none"

    return [
        Mistake(
            index=int(index[row]),
            predicted=join(predicted[row]),
            actual=join(labels[row]),
            weight=float(surest[row]),
        )
        for row in np.flatnonzero((predicted != labels).any(axis=1))
    ]


def _wrong_numbers(index: Array, values: Array, labels: Array) -> list[Mistake]:
    return [
        Mistake(
            index=int(i), predicted=f"{value:.4g}", actual=f"{label:.4g}", weight=float(abs(value - label))
        )
        for i, value, label in zip(index, values, labels, strict=True)
        if value != label
    ]


def with_texts(found: Sequence[Mistake], rows: Iterable[Mapping[str, Any]]) -> list[Mistake]:
    """Fill in the texts of mistakes from raw rows, read once; only those texts are kept in memory."""
    wanted = {mistake.index for mistake in found}
    texts = {int(row["index"]): str(row.get("text", "")) for row in rows if int(row["index"]) in wanted}
    return [
        Mistake(**{**mistake.__dict__, "text": texts.get(mistake.index, mistake.text)}) for mistake in found
    ]
