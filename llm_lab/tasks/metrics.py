"""Metrics by name from their config nodes, sized by the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection

from llm_lab.config import build_all
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError

SUITED = {
    "single_label": "sequence_classification",
    "multi_label": "multi_label_classification",
    "regression": "text_regression",
}


def collection(
    nodes: Mapping[str, Any], expected: type[Metric] = Metric, **injected: Any
) -> MetricCollection:
    """Metrics by name, each with counts of its own.

    torchmetrics would take two metrics whose counts agree after the first batch for one from then on; ours may agree
    by chance (precision and recall of nothing found).
    """
    return MetricCollection(
        build_all(nodes, expected=expected, key="task.metrics", **injected), compute_groups=False
    )


def build_metrics(nodes: Mapping[str, Any], spec: DataSpec) -> MetricCollection:
    """The metrics of a mapping name -> torchmetrics node; those that share their counts keep them once.

    ``num_classes`` is given to metrics of single labels, ``num_labels`` to those of label sets, nothing to
    those of numbers.

    Raises:
        ConfigError: a metric of another kind of target; names the task that suits the data.
    """
    width = {"single_label": "num_classes", "multi_label": "num_labels"}.get(spec.problem)
    injected = {width: spec.outputs} if width else {}
    try:
        return MetricCollection(build_all(nodes, expected=Metric, key="task.metrics", **injected))
    except ConfigError as error:
        raise ConfigError(f"{error} (for these data: task={SUITED[spec.problem]})") from error


class Scores(torch.nn.Module):
    """The metrics of one split with the mean loss per target, accumulated batch by batch."""

    def __init__(self, nodes: Mapping[str, Any], spec: DataSpec) -> None:
        super().__init__()
        self.metrics = build_metrics(nodes, spec)
        self.loss = MeanMetric()

    def update(self, *, losses: Tensor, probabilities: Tensor, labels: Tensor) -> None:
        """Add a batch: losses [B], probabilities [B, C] (or values [B]), labels [B] (or [B, C])."""
        self.loss.update(losses.mean(), weight=losses.numel())
        self.metrics.update(probabilities, labels)

    def flush(self, split: str) -> dict[str, Tensor]:
        """All values under ``split/``, over all ranks; starts afresh."""
        values = {"loss": self.loss.compute(), **self.metrics.compute()}
        self.loss.reset()
        self.metrics.reset()
        return {f"{split}/{name}": value for name, value in values.items()}


class Predictions(Metric):
    """Keeps row numbers, probabilities and labels of a split; `compute` gathers them from all ranks."""

    full_state_update = False
    index: list[Tensor]
    probabilities: list[Tensor]
    labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__(compute_on_cpu=True)
        for name in ("index", "probabilities", "labels"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, *, index: Tensor, probabilities: Tensor, labels: Tensor) -> None:
        """Add a batch."""
        self.index.append(index)
        self.probabilities.append(probabilities)
        self.labels.append(labels)

    def compute(self) -> dict[str, Tensor]:
        """Each as one tensor on the CPU, in the order of the row numbers."""
        joined = {name: _joined(getattr(self, name)) for name in ("index", "probabilities", "labels")}
        order = joined["index"].argsort()
        return {name: value[order] for name, value in joined.items()}


def _joined(parts: list[Tensor] | Tensor) -> Tensor:
    return (parts if isinstance(parts, Tensor) else torch.cat(parts)).cpu()
