"""Metrics of written texts beside the wanted ones: what torchmetrics lacks, and which of several they are."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor, tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.text import ROUGEScore, SacreBLEUScore
from torchmetrics.utilities import dim_zero_cat

from llm_lab.tasks.language_metrics import Share
from llm_lab.tasks.metrics import collection


class Exact(Share):
    """How often a text is the wanted one, letter for letter."""

    def update(self, preds: Sequence[str], target: Sequence[str]) -> None:
        """Add rows."""
        self.count(tensor([text == wanted for text, wanted in zip(preds, target, strict=True)]))


class RougeL(ROUGEScore):
    """F-measure of the longest common subsequence of words (Lin 2004, https://aclanthology.org/W04-1013)."""

    def __init__(self) -> None:
        super().__init__(rouge_keys="rougeL")
        for name in self._defaults:  # the library gathers each row: ranks of unlike many would hang
            self.add_state(name, [], dist_reduce_fx="cat")

    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean over the rows."""
        return dim_zero_cat(cast("list[Tensor]", self.rougeL_fmeasure)).mean()


class Bleu(SacreBLEUScore):
    """BLEU by sacreBLEU's words (Post 2018, https://aclanthology.org/W18-6319), smoothed.

    It is 0 where no ``n_gram`` words in a row agree, so that short texts want a small one.

    Args:
        n_gram: words in a row that are compared, at most.
    """

    def __init__(self, *, n_gram: int = 4) -> None:
        super().__init__(n_gram=n_gram, smooth=True)

    def update(self, preds: Sequence[str], target: Sequence[str]) -> None:  # type: ignore[override]
        """Add rows with one wanted text each."""
        super().update(preds, [[text] for text in target])


def reads_texts(metric: Metric) -> bool:
    """Whether a metric compares texts, its arguments ``preds`` and ``target``; others take values of the objective."""
    return "preds" in inspect.signature(metric.update).parameters


def text_metrics(nodes: Mapping[str, Any], *, texts: bool = True) -> MetricCollection:
    """Those of the metrics of a task that compare texts, or the others."""
    named = collection(nodes).items(keep_base=True)
    chosen: dict[str, Metric | MetricCollection] = {
        str(name): one for name, one in named if reads_texts(one) is texts
    }
    return MetricCollection(chosen, compute_groups=False)
