"""A data module over a manifest, for the tests of tables and of where they come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_lab.data.multimodal.module import MultimodalData
from tests.data.conftest import TOKENIZER
from tests.multimodal import COLUMNS

Make = Callable[..., MultimodalData]
FUSION = {"_target_": "llm_lab.models.fusion.late.Concatenation"}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A data module over the manifest in ``tmp_path``."""
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))

    def build(source: Any = None, **options: Any) -> MultimodalData:
        texts = any(
            isinstance(one, dict) and one["kind"] == "text"
            for one in options.get("columns", COLUMNS).values()
        )
        source = source or {"train": str(tmp_path / "rows.csv")}
        tokenizer = {"tokenizer": TOKENIZER} if texts else {}
        common = {"columns": COLUMNS, "licence": "ours", "batch_size": 8, "seed": 1, **tokenizer}
        return MultimodalData(source=source, **{**common, **options})

    return build
