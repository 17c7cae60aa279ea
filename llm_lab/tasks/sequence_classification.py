"""One label, a set of labels or a number for each text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.heads import Head
from llm_lab.tasks.metrics import Predictions, Scores
from llm_lab.tasks.segments import without_foreign_types
from llm_lab.tasks.task import Batch, Task


class SequenceClassification(Task):
    """Cross-entropy for single labels, binary cross-entropy for label sets, squared error for numbers.

    Args:
        spec: what the data is; its ``problem`` selects the loss.
        model: see `Task`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        regularizers: see `Task`.
        metrics: torchmetrics nodes by name; they get probabilities, or values for numbers.
        class_weights: ``balanced`` makes every class (or every label's two sides) weigh the same, by the
            training counts; a list gives a weight per label; ``none`` leaves rows equal.
        label_smoothing: share of the target mass spread evenly over the classes, 0 to 1.

    Raises:
        ConfigError: class weights or smoothing that do not fit the labels.
    """

    head = Head.SEQUENCE_CLASSIFICATION
    weights: Tensor | None

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
        class_weights: Literal["none", "balanced"] | list[float] = "none",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        _check(spec, class_weights, label_smoothing)
        self.label_smoothing = label_smoothing
        self.register_buffer("weights", weigh(spec, class_weights), persistent=False)
        self.val_scores = Scores(metrics, spec)
        self.test_scores = Scores(metrics, spec)
        self.test_rows = Predictions()

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What the model gets of a batch; of pairs it is told which token is whose, where it can take that."""
        return without_foreign_types(super().inputs(batch), self.network())

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Losses [B] from logits [B, C]."""
        labels = batch["labels"]
        if self.spec.problem == "single_label":
            return F.cross_entropy(
                outputs, labels, weight=self.weights, label_smoothing=self.label_smoothing, reduction="none"
            )
        if self.spec.problem == "multi_label":
            targets = labels * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
            every = F.binary_cross_entropy_with_logits(
                outputs, targets, pos_weight=self.weights, reduction="none"
            )
            return every.mean(dim=-1)
        return F.mse_loss(outputs.squeeze(-1), labels, reduction="none")

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Probabilities [B, C] from logits; the value [B] itself where the target is a number."""
        if self.spec.problem == "single_label":
            return outputs.softmax(dim=-1)
        return outputs.sigmoid() if self.spec.problem == "multi_label" else outputs.squeeze(-1)

    def validation_step(self, batch: Batch) -> None:
        """Score a batch."""
        self._score(batch, self.val_scores)

    def test_step(self, batch: Batch) -> None:
        """Score a batch and keep its probabilities for the report."""
        probabilities = self._score(batch, self.test_scores)
        self.test_rows.update(index=batch["index"], probabilities=probabilities, labels=batch["labels"])

    def predict_step(self, batch: Batch) -> dict[str, Tensor]:
        """Row numbers [B] and probabilities [B, C] of a batch."""
        return {"index": batch["index"], "probabilities": self.probabilities(self(batch))}

    def _score(self, batch: Batch, scores: Scores) -> Tensor:
        outputs = self(batch)
        probabilities = self.probabilities(outputs)
        labels = batch["labels"].long() if self.spec.problem == "multi_label" else batch["labels"]
        scores.update(losses=self.losses(outputs, batch), probabilities=probabilities, labels=labels)
        return probabilities

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss`` and the metrics."""
        self.log_dict(self.val_scores.flush("val"), prog_bar=True)

    def on_test_epoch_end(self) -> None:
        """Log ``test/loss`` and the metrics; hand the predictions to the report."""
        self.log_dict(self.test_scores.flush("test"))
        self.predictions = self.test_rows.compute()
        self.row_scores = by_row(self.predictions, self.spec.problem)
        self.test_rows.reset()


def by_row(predictions: Mapping[str, Tensor], problem: str) -> dict[str, Tensor]:
    """What each row counts, as `llm_lab.results.rows` has it; nothing of label sets."""
    told, labels = predictions["probabilities"], predictions["labels"]
    if problem == "multi_label":
        return {}
    if problem == "regression":
        gaps = told - labels
        found = {"mse": gaps.square(), "mae": gaps.abs()}
    else:
        found = {"accuracy": (told.argmax(dim=-1) == labels).float()}
    return {name: torch.stack([value, torch.ones_like(value)], dim=-1) for name, value in found.items()}


def weigh(spec: DataSpec, weights: str | Sequence[float]) -> Tensor | None:
    """Weight per label [C] by which its loss is multiplied, or None where all rows weigh the same.

    ``balanced`` follows scikit-learn: rows / (classes x rows of the class), so that the mean weight of a
    training row is 1; for label sets it is the number of rows without the label over those with it.
    """
    if not isinstance(weights, str):
        return torch.tensor(list(weights), dtype=torch.float32)
    if weights == "none":
        return None
    counts = torch.tensor(spec.class_counts, dtype=torch.float32).clamp(min=1)
    if spec.problem == "multi_label":
        return (spec.sizes["train"] - counts).clamp(min=1) / counts
    return counts.sum() / (len(counts) * counts)


def _check(spec: DataSpec, weights: str | Sequence[float], smoothing: float) -> None:
    if spec.problem == "regression" and (weights != "none" or smoothing):
        raise ConfigError(
            "task.class_weights and task.label_smoothing are for labels, but the target is a number"
        )
    if not isinstance(weights, str) and len(weights) != spec.outputs:
        names = ", ".join(spec.labels[:10])
        raise ConfigError(f"task.class_weights: {len(weights)} weights for {spec.outputs} labels ({names})")
    if not 0 <= smoothing < 1:
        raise ConfigError(f"task.label_smoothing: {smoothing} is not a share from 0 to 1")
