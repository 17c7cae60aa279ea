"""Splits by the hash of the text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_lab.config import build
from llm_lab.data.module import DataModule
from llm_lab.data.staging import folded
from llm_lab.errors import ConfigError, DataError
from tests.data.conftest import TOKENIZER, Make, sentence, table

ROWS = [(sentence(number), "ab"[number % 2]) for number in range(1000)]


LETTERS = "aAzZéÉßñжЖσΣ中文 1.\u2003"  # a few letters have other partners in other languages: Turkish ı and I


@given(st.text(LETTERS), st.sampled_from(["", " ", "\t", "\n", "\u3000"]))
def test_case_and_spacing_do_not_change_the_split(text: str, space: str) -> None:
    assert folded(text) == folded(space + text.swapcase() + space)


@given(st.text())
@example("ß\u0301")
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def test_a_larger_test_share_only_adds_texts(make: Make) -> None:
    few, many = make(table(ROWS[:300]), split={"test": 0.1}), make(split={"test": 0.2})
    few.prepare(), many.prepare()
    assert {row["text"] for row in few.rows("test")} < {row["text"] for row in many.rows("test")}


def test_shares_are_met_and_nothing_is_lost(make: Make) -> None:
    data = make(table(ROWS), split={"val": 0.2, "test": 0.1})
    sizes = data.prepare().sizes
    assert sum(sizes.values()) == 1000
    assert 160 <= sizes["val"] <= 240
    assert 70 <= sizes["test"] <= 130
    texts = [row["text"] for split in sizes for row in data.rows(split)]
    assert len(set(texts)) == 1000


def test_equal_texts_stay_together(make: Make) -> None:
    rows = [*ROWS[:200], *((text.upper() + "  ", label) for text, label in ROWS[:200])]
    data = make(table(rows))
    data.prepare()
    split_of = {split: {row["text"].lower() for row in data.rows(split)} for split in data.spec.sizes}
    assert sum(map(len, split_of.values())) == 200


def test_a_text_keeps_its_split_when_the_table_grows(make: Make) -> None:
    few, many = make(table(ROWS[:300]), "few.csv"), make(table(ROWS), "many.csv")
    few.prepare(), many.prepare()
    for split in ("train", "val", "test"):
        assert {row["text"] for row in few.rows(split)} <= {row["text"] for row in many.rows(split)}


def test_the_seed_does_not_change_the_split(make: Make) -> None:
    one, other = make(table(ROWS), seed=1), make(table(ROWS), seed=2)
    assert one.prepare().fingerprint == other.prepare().fingerprint


@pytest.mark.parametrize("rows", [6, 8, 12])
def test_a_tiny_table_gets_every_split(make: Make, rows: int) -> None:
    sizes = make(table(ROWS[:rows])).prepare().sizes
    assert sorted(sizes) == ["test", "train", "val"]
    assert sum(sizes.values()) == rows


def test_a_given_test_split_and_a_made_validation_split(make: Make, tmp_path: Path) -> None:
    make(table(ROWS[:500]), "train.csv"), make(table(ROWS[500:600]), "test.csv")
    source = {name: f"file://{tmp_path}/{name}.csv" for name in ("train", "test")}
    assert make(source=source).prepare().sizes == {"train": 500, "test": 100}
    sizes = make(source=source, split={"val": 0.2, "test": 0.5}).prepare().sizes
    assert sizes["test"] == 100
    assert sizes["train"] + sizes["val"] == 500
    assert 70 <= sizes["val"] <= 130


def test_a_test_split_alone(make: Make, tmp_path: Path) -> None:
    make(table(ROWS[:20]), "test.csv")
    tokenizer = _saved_tokenizer(make, tmp_path)
    data = make(source={"test": f"file://{tmp_path}/test.csv"}, tokenizer=tokenizer)
    assert data.prepare().sizes == {"test": 20}
    assert data.val_dataloader() == []
    assert sum(len(batch["index"]) for batch in data.test_dataloader()) == 20
    with pytest.raises(DataError, match="there is no training split"):
        data.train_dataloader()


def test_no_tokenizer_is_learned_without_training_rows(make: Make, tmp_path: Path) -> None:
    make(table(ROWS[:20]), "test.csv")
    with pytest.raises(DataError, match="a tokenizer is to be trained, and there are no training rows"):
        make(source={"test": f"file://{tmp_path}/test.csv"}).prepare()


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"validation": 0.1}, "data.split.validation: shares below 1 for `val` and `test`"),
        ({"val": 0.5, "test": 0.5}, "nothing is left to train on"),
        ({"val": 10}, "data.split.val: shares below 1"),
    ],
)
def test_shares_that_make_no_sense(make: Make, split: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(source="x.csv", split=split)


def _saved_tokenizer(make: Make, tmp_path: Path) -> dict[str, str]:
    folder = make(table(ROWS[:50]), "other.csv").prepare().tokenizer
    return {"_target_": "llm_lab.data.tokenizers.Pretrained", "source": f"file://{folder}"}


@pytest.mark.parametrize("family", ["squad", "choices", "pairs"])
def test_a_split_to_which_no_row_fell_is_warned_of(
    family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = {
        "squad": {"question": "Who?", "context": "It is Anna.", "answers": "Anna"},
        "choices": {"text": "It is", "choices": ["Anna", "Bert"], "label": 0},
        "pairs": {"anchor": "It is", "positive": "Anna"},
    }
    targets = {
        "squad": "question_answering.QuestionAnsweringData",
        "choices": "multiple_choice.MultipleChoiceData",
        "pairs": "pairs.PairData",
    }
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(rows[family]) + "\n")
    node = {
        "_target_": f"llm_lab.data.{targets[family]}",
        "source": f"file://{file}",
        "tokenizer": TOKENIZER,
        "licence": "test",
    }
    small = {"val": 1e-9, "test": 1e-9}  # nothing falls to these
    data = build(node | {"split": small}, expected=DataModule, key="data")
    assert data.prepare().sizes == {"train": 1}
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert found == [f"data.split.{split}: no row fell to it; there are 1" for split in small]
    caplog.clear()
    build(node | {"split": {}}, expected=DataModule, key="data").prepare()
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
