"""Captions of simple things are measured as the model's are, by the metrics that compare texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from llm_lab.baselines.captions import CommonCaption, NearestCaption
from tests.models.tiny import tiny_spec

METRICS = {
    "perplexity": {"_target_": "llm_lab.tasks.language_metrics.Perplexity"},
    "exact": {"_target_": "llm_lab.tasks.writing_metrics.Exact"},
    "rouge_l": {"_target_": "llm_lab.tasks.writing_metrics.RougeL"},
    "chrf": {"_target_": "torchmetrics.text.CHRFScore"},
}
ROWS = {
    "train": [("a red cat", [0, 0]), ("a red cat", [0, 1]), ("a dog", [9, 9])],
    "test": [("a red cat", [1, 1]), ("a dog", [8, 9]), ("a blue dog", [9, 8])],
}


class Rows:
    """Rows of two numbers with a caption each."""

    def rows(self, split: str) -> Iterable[dict[str, Any]]:
        return [{"label": text, "features": np.array(numbers, np.float32)} for text, numbers in ROWS[split]]


def test_the_nearest_is_better_than_the_commonest() -> None:
    spec = tiny_spec()
    common = CommonCaption().evaluate(Rows(), spec=spec, metrics=METRICS, split="test")
    nearest = NearestCaption().evaluate(Rows(), spec=spec, metrics=METRICS, split="test")
    assert common.keys() == nearest.keys() == {"exact", "rouge_l", "chrf"}
    assert common["exact"] == pytest.approx(1 / 3) and nearest["exact"] == pytest.approx(2 / 3)
    assert nearest["rouge_l"] == pytest.approx((1 + 1 + 0.8) / 3) and nearest["chrf"] > common["chrf"]
