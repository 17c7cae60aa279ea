"""Every format, and what people's files hold by mistake."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_lab.errors import ConfigError, DataError
from tests.data.conftest import Make, rejected, sentence, table

ROWS = [(sentence(number), ("bad", "good")[number % 2]) for number in range(30)]
EVERY = {"split": {}, "max_rejected": 1.0}


def texts(data) -> list[tuple[str, str]]:
    data.prepare()
    return [(row["text"], row["label"]) for row in data.rows("train")]


def as_csv(rows, **options) -> str:
    stream = io.StringIO()
    csv.writer(stream, **options).writerows([("text", "label"), *rows])
    return stream.getvalue()


def as_parquet(rows) -> bytes:
    stream = io.BytesIO()
    columns = list(zip(*rows, strict=True))
    pq.write_table(pa.table({"other": range(len(rows)), "text": columns[0], "label": columns[1]}), stream)
    return stream.getvalue()


OBJECTS = [{"text": text, "label": label} for text, label in ROWS]
FILES = {
    "t.csv": as_csv(ROWS),
    "t.tsv": as_csv(ROWS, delimiter="\t"),
    "crlf.csv": as_csv(ROWS, lineterminator="\r\n"),
    "semicolon.csv": as_csv(ROWS, delimiter=";"),
    "mac.csv": as_csv(ROWS, lineterminator="\r"),
    "bom.csv": as_csv(ROWS).encode("utf-8-sig"),
    "t.csv.gz": gzip.compress(as_csv(ROWS).encode()),
    "t.tsv.bz2": bz2.compress(as_csv(ROWS, delimiter="\t").encode()),
    "t.jsonl": "\n".join(map(json.dumps, OBJECTS)),
    "crlf.jsonl": "\r\n".join(map(json.dumps, OBJECTS)) + "\r\n",
    "bom.jsonl": "\n".join(map(json.dumps, OBJECTS)).encode("utf-8-sig"),
    "lines.json": "\n".join(map(json.dumps, OBJECTS)),
    "array.json": json.dumps(OBJECTS),
    "pretty.json": "\n" + json.dumps(OBJECTS, indent=2),
    "t.parquet": as_parquet(ROWS),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_rows_from_every_format(make: Make, name: str) -> None:
    options = {"delimiter": ";"} if name.startswith("semicolon") else {}
    data = make(FILES[name], name, **options, **EVERY)
    assert texts(data) == ROWS
    assert rejected(data) == []


def test_a_line_each_and_a_label_by_file(make: Make, tmp_path: Path) -> None:
    for label in ("bad", "good"):
        (tmp_path / f"{label}.txt").write_text("\n\n".join(text for text, other in ROWS if other == label))
    source = {label: {"uri": f"file://{tmp_path}/{label}.txt", "label": label} for label in ("bad", "good")}
    assert sorted(texts(make(source=source, **EVERY))) == sorted(ROWS)


def test_a_file_each_and_a_label_by_folder(make: Make, tmp_path: Path) -> None:
    for number, (text, label) in enumerate(ROWS):
        path = tmp_path / "news" / label / f"{number:03}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert sorted(texts(make(source=f"file://{tmp_path}/news", **EVERY))) == sorted(ROWS)


def test_a_hub_data_set_keeps_its_splits_and_label_names(make: Make, tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    for split, rows in {"train": ROWS[:20], "validation": ROWS[20:25], "test": ROWS[25:]}.items():
        columns = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
        Dataset.from_dict(columns, features=features).to_parquet(tmp_path / "hub" / f"{split}.parquet")
    data = make(source=f"file://{tmp_path}/hub", format="hub")
    assert data.prepare().sizes == {"train": 20, "val": 5, "test": 5}
    assert data.spec.labels == ("bad", "good")
    assert texts(data) == ROWS[:20]


def test_hidden_labels_are_left_out_and_missing_splits_made(make: Make, tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    for split, labels in {"train": [0, 1] * 20, "validation": [0, 1, 1], "test": [-1] * 5}.items():
        texts = [f"{split} {sentence(number)}" for number in range(len(labels))]
        rows = Dataset.from_dict({"text": texts, "label": labels}, features=features)
        rows.to_parquet(tmp_path / "hub" / f"{split}.parquet")
    spec = make(source=f"file://{tmp_path}/hub", format="hub", split={"val": 0.2, "test": 0.2}).prepare()
    assert spec.sizes["val"] == 3
    assert spec.sizes["train"] + spec.sizes["test"] == 40
    assert spec.sizes["test"] > 0


def test_a_hub_data_set_that_is_not_there(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="hf://nobody/nothing: cannot be loaded"):
        make(source="hf://nobody/nothing").prepare()


def test_line_numbers_count_lines_inside_quotes(make: Make) -> None:
    content = 'text,label\n"one\ntwo\nthree",good\n"",bad\n"four\r\nfive",bad\n,good\n'
    assert rejected(make(content, **EVERY)) == [(5, "empty text"), (8, "empty text")]


def test_bad_rows_by_kind(make: Make) -> None:
    content = b"\n".join(
        [
            b"text,label",
            b"fine,good",
            b"also fine,bad",
            b" ,good",
            b"no label,",
            b"caf\xe9,good",
            b"nul \0 here,bad",
            b"too,many,fields",
            b"few",
            b'quote"s inside,good',
            b'"half" quoted,good',
            "café,good".encode(),
        ]
    )
    data = make(content, **EVERY)
    assert rejected(data) == [
        (4, "empty text"),
        (5, "missing label"),
        (6, "wrong encoding"),
        (7, "NUL character"),
        (8, "wrong field count"),
        (9, "wrong field count"),
        (11, "broken quotes"),
    ]
    assert [text for text, _ in texts(data)] == ["fine", "also fine", 'quote"s inside', "café"]


def test_the_right_encoding_saves_the_row(make: Make) -> None:
    content = "text,label\ncafé,good\nthé,bad\n".encode("latin-1")
    assert texts(make(content, encoding="latin-1", **EVERY)) == [("café", "good"), ("thé", "bad")]
    wide = "text\tlabel\ncafé\tgood\n茶\tbad\n".encode("utf-16")
    with pytest.raises(DataError, match=r"t\.tsv: the file is in UTF-16: set data\.encoding=utf-16"):
        make(wide, "t.tsv").prepare()
    assert texts(make(wide, "t.tsv", encoding="utf-16", **EVERY)) == [("café", "good"), ("茶", "bad")]
    with pytest.raises(ConfigError, match=r"data.encoding: unknown encoding: latin-99"):
        make(content, encoding="latin-99").prepare()


def test_bad_json_rows_by_kind(make: Make) -> None:
    lines = [
        '{"text": "fine", "label": "a"}',
        "{broken",
        "[1]",
        '{"text": 7, "label": "a"}',
        '{"label": "a"}',
    ]
    lines += ["", '{"text": "ok", "label": null}', '{"text": "ok too", "label": "b"}']
    assert rejected(make("\n".join(lines), "t.jsonl", **EVERY)) == [
        (2, "not JSON"),
        (3, "not an object"),
        (4, "text is not a string"),
        (5, "empty text"),
        (7, "missing label"),
    ]


def test_a_broken_array_names_its_line(make: Make) -> None:
    with pytest.raises(DataError, match=r"t.json: line 3: the JSON array is broken here"):
        make('[{"text": "a", "label": "x"},\n {"text": "b", "label": "y"},\n {"text": ]', "t.json").prepare()


def test_a_quote_that_never_closes_names_its_line(make: Make) -> None:
    with pytest.raises(DataError, match=r"table.csv: line 3: a quote opens here and never closes"):
        make('text,label\nfine,good\n"open,bad\nmore,good\n').prepare()


def test_fields_longer_than_the_csv_module_likes(make: Make) -> None:
    long = "word " * 60_000
    data = make(table([(long, "good"), ("short", "bad")]), max_length=16, **EVERY)
    assert texts(data)[0] == (long.strip(), "good")
    assert data.spec.max_length == 16


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.json"])
def test_empty_files(make: Make, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: the file is empty"):
        make("", name).prepare()


def test_a_header_and_nothing_else(make: Make) -> None:
    with pytest.raises(DataError, match="no row can be used"):
        make("text,label\n").prepare()


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_a_missing_column_names_the_nearest(make: Make, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: no column `lable`; did you mean `label`\?"):
        make(FILES[name], name, columns={"label": "lable"}).prepare()


def test_a_file_that_is_no_parquet(make: Make) -> None:
    with pytest.raises(DataError, match="not a Parquet file"):
        make("text,label\n", "t.parquet").prepare()


def test_formats_that_cannot_be_told(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"data\.format: cannot be told from"):
        make("a\n", "table.dat").prepare()
    with pytest.raises(ConfigError, match=r"unknown format `cvs`; did you mean `csv`\?"):
        make("a\n", "table.dat", format="cvs").prepare()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"train": {"url": "x"}}, "data.source.train: expected a URI or a mapping that holds `uri`"),
        ({"uri": "x.csv", "lable": "a"}, r"data.source.lable: unknown key; did you mean `label`\?"),
        ({"a": {"uri": "x.csv", "split": "tets"}}, r"unknown split `tets`; did you mean `test`\?"),
        ({}, "data.source is empty"),
    ],
)
def test_sources_that_make_no_sense(make: Make, source: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(source=source)
