"""A text that is to be written may be one of the columns, cleaned as they are, and then it is no input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_lab.data.multimodal.module import MultimodalData
from llm_lab.errors import ConfigError
from tests.data.conftest import TOKENIZER
from tests.multimodal import COLUMNS, edit, manifest

WRITES = {**TOKENIZER, "template": "eos", "lowercase": False, "whitespace": True}
PICTURE = {"picture": COLUMNS["picture"]}


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest, and a cache of its own."""
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    return manifest(tmp_path)


def make(path: Path, columns: Any, **options: Any) -> MultimodalData:
    common = {
        "licence": "ours",
        "batch_size": 8,
        "tokenizer": WRITES,
        "problem": "transcript",
        "folded": False,
    }
    return MultimodalData(source={"train": str(path)}, columns=columns, **{**common, **options})


def test_a_column_of_the_table_is_written(table: Path) -> None:
    edit(table, 3, town="")
    data = make(table, {**PICTURE, "label": "town"})
    spec = data.prepare()
    assert set(spec.inputs) == {"picture"} and sum(spec.sizes.values()) == 39
    assert {row["label"] for row in data.rows("train")} == {"red town", "blue town"}


def test_a_text_among_the_columns_is_cleaned_and_no_input(table: Path) -> None:
    words = {"kind": "text", "columns": "text", "replace": {"^something ": "", " number .*": ""}}
    data = make(table, {**PICTURE, "words": words, "label": "words"}, duplicates="keep")
    assert set(data.prepare().inputs) == {"picture"}
    assert {row["label"] for row in data.rows("train")} == {"red", "blue"}


def test_several_columns_are_one_text(table: Path) -> None:
    words = {"kind": "text", "columns": ["town", "colour"], "replace": {"\n": ", "}}
    data = make(table, {**PICTURE, "words": words, "label": "words"})
    data.prepare()
    assert {row["label"] for row in data.rows("train")} == {"red town, red", "blue town, blue"}


def test_a_text_may_be_read_and_another_written(table: Path) -> None:
    data = make(table, {**PICTURE, "words": COLUMNS["words"], "label": "town"})
    assert set(data.prepare().inputs) == {"picture", "words"}
    assert {"words", "words_mask", "labels"} <= next(iter(data.train_dataloader())).keys()


def test_what_cannot_be_written_is_told(table: Path) -> None:
    with pytest.raises(ConfigError, match="columns.picture: what is to be written is a text"):
        make(table, {**PICTURE, "words": COLUMNS["words"], "label": "picture"})
    with pytest.raises(ConfigError, match="model.language.tokenizer"):
        make(table, {**PICTURE, "label": "town"}, tokenizer=None)
