"""Which of several texts belongs to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from torchmetrics import MeanMetric

from llm_lab.data.spec import DataSpec
from llm_lab.models.heads import Head
from llm_lab.tasks.language_metrics import Share
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.segments import without_foreign_types
from llm_lab.tasks.task import Batch, Task


class MultipleChoice(Task):
    """Cross-entropy over the choices of a row, each scored with its text.

    Args:
        spec: see `Task`.
        model: see `Task`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        metrics: nodes by name; they get logits [B, C] and labels [B].
        regularizers: see `Task`.
    """

    head = Head.MULTIPLE_CHOICE

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        self.mean_loss = MeanMetric()
        self.metrics = collection(metrics)

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """Tokens [B, C, T]; of a choice that only fills up one is attended to, so that its score is a number."""
        inputs = without_foreign_types(super().inputs(batch), self.network())
        mask = batch["attention_mask"].clone()
        mask[..., 0] = 1
        return {**inputs, "attention_mask": mask}

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, C]; a choice that only fills up has the lowest there is."""
        logits: Tensor = self.network()(**self.inputs(batch)).logits.float()
        logits = logits.masked_fill(~batch["attention_mask"].any(dim=-1), torch.finfo(logits.dtype).min)
        return logits[: len(batch["index"])] if "index" in batch else logits

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Losses [B]."""
        return F.cross_entropy(outputs, batch["labels"], reduction="none")

    def validation_step(self, batch: Batch) -> None:
        """Score a batch."""
        outputs = self(batch)
        losses = self.losses(outputs, batch)
        if losses.numel():
            self.mean_loss.update(losses.mean(), weight=losses.numel())
            self.metrics.update(outputs, batch["labels"])

    def test_step(self, batch: Batch) -> None:
        """Score a batch."""
        self.validation_step(batch)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss`` and the metrics."""
        self._log("val")

    def on_test_epoch_end(self) -> None:
        """The same under ``test/``."""
        self._log("test")

    def _log(self, split: str) -> None:
        values = {"loss": self.mean_loss.compute(), **self.metrics.compute()}
        self.mean_loss.reset()
        self.metrics.reset()
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, prog_bar=split == "val")


class ChoiceAccuracy(Share):
    """Share of the rows whose right choice scores highest."""

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add logits [B, C] and labels [B]."""
        self.count(logits.argmax(dim=-1) == labels)
