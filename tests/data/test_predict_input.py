"""What people give to `predict`."""

from __future__ import annotations

import gzip
import io
import json
import sys
from itertools import islice
from pathlib import Path

import pytest

from llm_lab.data.collate import collate
from llm_lab.data.predict_input import read_rows
from llm_lab.errors import ConfigError, DataError
from tests.data.conftest import Make, sentence, table

ROWS = [{"id": "1", "text": "one, two"}, {"id": "2", "text": "three\nfour"}]
CSV = 'id,text\n1,"one, two"\n2,"three\nfour"\n'


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.csv", CSV),
        ("in.csv", "\ufeff" + CSV.replace("2,", "2,", 1)),
        ("in.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("in.jsonl", "\n".join(map(json.dumps, ROWS))),
        ("in.json", json.dumps(ROWS)),
        ("in", CSV),
        ("in", json.dumps(ROWS)),
        ("in.dat", "\n".join(map(json.dumps, ROWS))),
    ],
)
def test_rows_keep_their_columns(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert list(read_rows(write(tmp_path / name, content))) == ROWS


def test_plain_lines(tmp_path: Path) -> None:
    rows = list(read_rows(write(tmp_path / "in.txt", "one\r\ntwo, three\n\nfour"), column="review"))
    assert rows == [{"review": "one"}, {"review": "two, three"}, {"review": "four"}]
    assert next(read_rows(write(tmp_path / "in", "text, that is\n"))) == {"text": "text, that is"}


def test_a_tab_separated_table_without_a_suffix(tmp_path: Path) -> None:
    assert list(read_rows(write(tmp_path / "in", 'id\ttext\n1\tsay "hi"\n'))) == [
        {"id": "1", "text": 'say "hi"'}
    ]


def test_standard_input_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        """A pipe that never ends."""

        def __init__(self) -> None:
            self.lines = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            self.lines += 1
            line = b"text,id\n" if self.lines == 1 else f"row,{self.lines}\n".encode()
            buffer[: len(line)] = line
            return len(line)

    raw = Endless()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))
    rows = list(islice(read_rows("-"), 3))
    assert rows == [{"text": "row", "id": str(number)} for number in (2, 3, 4)]
    assert raw.lines < 20_000


def test_rows_that_cannot_be_read_keep_their_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write(tmp_path / "in.csv", b"id,text\n1,fine\n2\n3,caf\xe9\n")
    assert list(read_rows(source)) == [
        {"id": "1", "text": "fine"},
        {"text": ""},
        {"id": "3", "text": "caf\ufffd"},
    ]
    assert "in.csv:3: wrong field count; the row gets no label" in caplog.text
    assert list(read_rows(source, encoding="latin-1"))[2]["text"] == "café"


def test_what_cannot_be_read_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file"):
        list(read_rows(str(tmp_path / "nowhere.csv")))
    with pytest.raises(DataError, match=r"no column `texts`; did you mean `text`\?"):
        list(read_rows(write(tmp_path / "in.csv", CSV), column="texts"))
    with pytest.raises(ConfigError, match=r"unknown format `jsonlines`; did you mean `jsonl`\?"):
        list(read_rows(write(tmp_path / "in", CSV), format="jsonlines"))


def test_texts_are_encoded_as_in_training(make: Make) -> None:
    from transformers import AutoTokenizer

    data = make(table((sentence(number), "ab"[number % 2]) for number in range(20)), split={}, max_length=12)
    tokenizer = AutoTokenizer.from_pretrained(data.prepare().tokenizer)
    rows = list(data.rows("train"))
    for batch in data.train_dataloader():
        encoded = collate([rows[row]["text"] for row in batch["index"]], tokenizer, max_length=12)
        assert (encoded["input_ids"] == batch["input_ids"]).all()
        assert (encoded["attention_mask"] == batch["attention_mask"]).all()
