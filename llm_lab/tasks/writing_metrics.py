"""Metrics of written texts beside the wanted ones: torchmetrics' own, and what it lacks."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from torch import Tensor, tensor
from torchmetrics import Metric
from torchmetrics.text import ROUGEScore

from llm_lab.tasks.language_metrics import Share

Wanted = Sequence[Sequence[str]]
"""Texts of which any will do, for each row."""


class Exact(Share):
    """How often a text is one of the wanted ones, letter for letter."""

    def update(self, preds: Sequence[str], target: Wanted) -> None:
        """Add rows."""
        self.count(tensor([text in wanted for text, wanted in zip(preds, target, strict=True)]))


class RougeL(ROUGEScore):
    """F-measure of the longest common subsequence of words (Lin 2004, https://aclanthology.org/W04-1013)."""

    def __init__(self) -> None:
        super().__init__(rouge_keys="rougeL")

    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean over the rows."""
        return super().compute()["rougeL_fmeasure"]


def reads_texts(metric: Metric) -> bool:
    """Whether a metric compares texts, its arguments ``preds`` and ``target``; others take values of the objective."""
    return "preds" in inspect.signature(metric.update).parameters
