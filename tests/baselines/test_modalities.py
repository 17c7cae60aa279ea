"""Retrieval between modalities without a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from llm_lab.baselines.modalities import Chance, Neighbour
from llm_lab.data.spec import DataSpec
from tests.models.tiny import tokenizer_folder

METRICS = {"recall_at_1": {"_target_": "llm_lab.tasks.retrieval_metrics.Recall", "k": 1}}
SPEC = DataSpec(
    problem="modalities", labels=(), sizes={"train": 40, "test": 40}, tokenizer=tokenizer_folder(), max_length=1,
    fingerprint="0", inputs={"name": {"kind": "text"}, "picture": {"kind": "image"}},
)  # fmt: skip


class Colours:
    """Pictures of a colour and its name; a few rows have no picture."""

    def __init__(self, *, kinds: int, missing: int = 0, same: bool = False) -> None:
        self.kinds, self.missing, self.same = kinds, missing, same

    def rows(self, split: str) -> Iterator[dict[str, Any]]:
        rng = np.random.default_rng(len(split))
        for number in range(40):
            kind = number % self.kinds
            vector = np.eye(self.kinds, dtype=np.float32)[kind] + rng.normal(0, 0.05, self.kinds).astype(
                np.float32
            )
            ids = {"name": kind, "picture": -1 if number < self.missing else 100 + number}
            yield {
                "inputs": {"name": f"2 {kind + 10} 3", "picture": vector},
                "ids": ids,
                "same": kind if self.same else -1,
            }


def figures(baseline: Any, data: Colours) -> dict[str, float]:
    found: dict[str, float] = baseline.evaluate(data, spec=SPEC, metrics=METRICS, split="test")
    return found


def test_the_nearest_training_row_knows_what_training_showed() -> None:
    for missing in (0, 7):
        found = figures(Neighbour(), Colours(kinds=5, missing=missing))
        assert found == dict.fromkeys(
            ["recall_at_1", "name_to_picture/recall_at_1", "picture_to_name/recall_at_1"], 1
        )


def test_chance_is_one_of_all_and_more_where_more_is_right() -> None:
    found = figures(Chance(), Colours(kinds=40))
    assert found["recall_at_1"] < 0.15
    drawn = [figures(Chance(seed=seed), Colours(kinds=2, same=True)) for seed in range(30)]
    assert np.mean([one["picture_to_name/recall_at_1"] for one in drawn]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([one["name_to_picture/recall_at_1"] for one in drawn]) == pytest.approx(0.5, abs=0.2)
