"""Texts of simple things are measured as the model's are, by the metrics that compare texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from llm_lab.baselines.transcripts import CommonText, NearestRow
from tests.models.tiny import option, tiny_spec

ROWS = {
    "train": [("a red cat", [0, 0]), ("a red cat", [0, 1]), ("a dog", [9, 9])],
    "test": [("a red cat", [1, 1]), ("a dog", [8, 9]), ("a blue dog", [9, 8])],
}


class Rows:
    """Rows of two numbers with a text each."""

    def rows(self, split: str) -> Iterable[dict[str, Any]]:
        return [{"label": text, "features": np.array(numbers, np.float32)} for text, numbers in ROWS[split]]


def test_the_nearest_is_better_than_the_commonest() -> None:
    spec, metrics = tiny_spec(sizes={"train": 3}), option("task", "captioning").metrics
    common = CommonText().evaluate(Rows(), spec=spec, metrics=metrics, split="test")
    nearest = NearestRow().evaluate(Rows(), spec=spec, metrics=metrics, split="test")
    assert common.keys() == nearest.keys() == set(metrics) - {"perplexity"}
    assert common["exact"] == pytest.approx(1 / 3) and nearest["exact"] == pytest.approx(2 / 3)
    assert nearest["rouge_l"] == pytest.approx((1 + 1 + 0.8) / 3)
    assert nearest["cer"] < common["cer"] and nearest["chrf"] > common["chrf"] and nearest["bleu_2"] > 0
