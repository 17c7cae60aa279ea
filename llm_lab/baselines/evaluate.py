"""Baselines measured like the model: same rows, same metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch

from llm_lab.baselines.baseline import Baseline, Row, Scores, targets
from llm_lab.config import build_all
from llm_lab.data.spec import DataSpec, Split
from llm_lab.tasks.metrics import build_metrics


class Source(Protocol):
    """The part of a data module that a baseline needs."""

    def rows(self, split: Split) -> Iterable[Row]:
        """Raw rows of a split."""


def evaluate_baselines(
    baselines: Mapping[str, Any],
    *,
    data: Source,
    spec: DataSpec,
    metrics: Mapping[str, Any],
    split: Split = "test",
) -> dict[str, float]:
    """Fit every baseline on the training rows and measure it on another split.

    Args:
        baselines: node of a `Baseline` by name.
        data: gives raw rows.
        spec: labels of the data.
        metrics: torchmetrics nodes by name, those of the task.
        split: the split to measure on.

    Returns:
        ``baseline/NAME/METRIC`` -> value.
    """
    truth = torch.from_numpy(targets((row["label"] for row in data.rows(split)), spec))
    values: dict[str, float] = {}
    for name, baseline in build_all(baselines, expected=Baseline, key="baseline").items():
        baseline.fit(data.rows("train"), spec)
        scores = baseline.predict_proba(data.rows(split))
        measured = measure(scores, truth, spec=spec, metrics=metrics)
        values |= {f"baseline/{name}/{metric}": value for metric, value in measured.items()}
    return values


def measure(
    scores: Scores, truth: torch.Tensor, *, spec: DataSpec, metrics: Mapping[str, Any]
) -> dict[str, float]:
    """Metrics of probabilities [N, C] or values [N] against class numbers, label sets [N, C] or values."""
    collection = build_metrics(metrics, spec)
    truth = truth.float() if spec.problem == "regression" else truth
    collection.update(torch.from_numpy(scores).float(), truth)
    return {name: float(value) for name, value in collection.compute().items()}
