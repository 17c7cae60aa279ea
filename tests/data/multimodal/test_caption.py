"""A text that is to be written: token numbers with an end, the same words at the other side, no input of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

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
    common = {"licence": "ours", "batch_size": 8, "tokenizer": WRITES, "problem": "caption", "max_length": 32}
    return MultimodalData(source={"train": str(path)}, columns=columns, **{**common, **options})


def test_a_column_of_the_table_is_written(table: Path) -> None:
    edit(table, 3, town="")
    data = make(table, {**PICTURE, "label": "town"}, split={"val": 0.2})
    spec = data.prepare()
    assert spec.labels == () and set(spec.inputs) == {"picture"} and sum(spec.sizes.values()) == 39
    batch = next(iter(data.train_dataloader()))
    labels, before = batch["labels"], batch["input_ids"]
    assert labels.dtype == torch.int64 and before.shape[1] == labels.shape[1] - 1 == spec.max_length - 1
    kept = labels[:, :-1] >= 0
    assert torch.equal(before[kept], labels[:, :-1][kept]) and before.min() >= 0
    asked = labels[labels >= 0]
    assert batch["step_targets"] == len(asked)
    rows = list(data.rows("train"))
    assert {row["label"] for row in rows} == {"red town", "blue town"}
    assert rows[0]["features"].ndim == 1


def test_a_text_among_the_columns_is_cleaned_and_no_input(table: Path) -> None:
    words = {"kind": "text", "columns": "text", "replace": {"^something ": "", " number .*": ""}}
    data = make(table, {**PICTURE, "words": words, "label": "words"}, duplicates="keep")
    assert set(data.prepare().inputs) == {"picture"}
    assert {row["label"] for row in data.rows("train")} == {"red", "blue"}


def test_a_text_may_be_read_and_another_written(table: Path) -> None:
    data = make(table, {**PICTURE, "words": COLUMNS["words"], "label": "town"})
    assert set(data.prepare().inputs) == {"picture", "words"}
    batch = next(iter(data.train_dataloader()))
    assert {"words", "words_mask", "labels", "input_ids"} <= batch.keys()


def test_words_that_the_tokenizer_cannot_write_are_told(table: Path) -> None:
    data = make(table, {**PICTURE, "label": "town"}, tokenizer={**WRITES, "whitespace": False})
    (warning,) = data.prepare().summary["warnings"]
    assert warning.startswith("40 captions are not the same after the tokenizer")


def test_a_rank_without_rows_has_no_targets(table: Path) -> None:
    data = make(table, {**PICTURE, "label": "town"})
    spec = data.prepare()
    batch = data.table(data._folder, "train", spec).batch(np.zeros(0, np.int64), 0)
    assert len(batch["picture"]) == len(batch["labels"]) == 1 and (batch["labels"] < 0).all()


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({**PICTURE, "label": "picture"}, {}, "columns.picture: what is to be written is a text"),
        ({**PICTURE, "label": ["town", "text"]}, {}, "columns.label: name the one column"),
        ({**PICTURE, "label": "town"}, {"tokenizer": None}, "model.language.tokenizer"),
    ],
)
def test_what_cannot_be_written_is_told(table: Path, columns: Any, options: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make(table, columns, **options)
