"""The linear baseline tells what plain features tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_lab.baselines.linear import Linear
from llm_lab.data.spec import DataSpec


def rows(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(count)
    return [
        {
            "features": (rng.standard_normal(3) + 3 * (n // 2 % 2)).astype(np.float32),
            "label": ("no", "yes")[n // 2 % 2],
        }
        for n in range(count)
    ]


def spec(problem: Any, *labels: str) -> DataSpec:
    return DataSpec(
        problem=problem, labels=labels, sizes={"train": 80}, tokenizer=Path(), max_length=0, fingerprint="0"
    )


def test_labels_by_features() -> None:
    model = Linear(max_rows=40)
    model.fit(rows(80), spec("single_label", "no", "yes", "never"))
    scores = model.predict_proba(rows(20))
    assert scores.shape == (20, 3) and (scores[:, 2] == 0).all()
    assert (scores.argmax(axis=1) == np.arange(20) // 2 % 2).mean() > 0.9


def test_numbers_by_features() -> None:
    model = Linear(strength=1.0)
    told = [{**row, "label": float(row["features"].sum())} for row in rows(80)]
    model.fit(told, spec("regression", "sum"))
    assert model.predict_proba(told) == pytest.approx([row["label"] for row in told], abs=0.5)
