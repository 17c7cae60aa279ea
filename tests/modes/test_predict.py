"""`predict` over the formats people have, and its agreement with plain transformers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result, lab_process, make_toy, toy_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_toy(tmp_path_factory.mktemp("predict"))
    words = ("+experiment=toy", "trainer.max_epochs=1", "mode.baseline=false", "mode.report=false")
    assert lab_process(*words, "hydra.run.dir=run", cwd=folder).code == 0
    return folder


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_csv_keeps_its_columns_and_order(lab: Callable[..., Result]) -> None:
    result = lab("predict", "run", "--input", "toy.csv")
    assert result.code == 0, result.err
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert list(rows[0]) == ["text", "input_label", "label", "probability"]
    assert [row["text"] for row in rows] == [text for text, _ in toy_rows(240)]


def test_artifact_parity_with_plain_transformers(lab: Callable[..., Result]) -> None:
    from transformers import pipeline

    rows = list(csv.DictReader(io.StringIO(lab("predict", "run", "--input", "toy.csv").out)))
    classify = pipeline("text-classification", model="run/model", device="cpu")
    for row, answer in zip(rows, classify([row["text"] for row in rows]), strict=True):
        assert row["label"] == answer["label"]
        assert float(row["probability"]) == pytest.approx(answer["score"], abs=1e-4)


def test_jsonl_in_jsonl_out_to_a_file(lab: Callable[..., Result], folder: Path) -> None:
    lines = [{"id": number, "text": text} for number, (text, _) in enumerate(toy_rows(5))]
    (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert lab("predict", "run", "--input", "in.jsonl", "--output", "out.jsonl").code == 0
    answers = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3, 4]
    assert all(answer["label"] in {"good", "bad"} and 0.5 <= answer["probability"] <= 1 for answer in answers)


@pytest.mark.parametrize("name", ["out.csv", "out.json", "out.ndjson"])
def test_the_output_s_suffix_tells_the_format(name: str, lab: Callable[..., Result], folder: Path) -> None:
    (folder / "one.jsonl").write_text(json.dumps({"text": toy_rows(1)[0][0]}) + "\n")
    assert lab("predict", "run", "--input", "one.jsonl", "--output", name).code == 0
    text = (folder / name).read_text()
    row = next(csv.DictReader(io.StringIO(text))) if name.endswith("csv") else json.loads(text)
    assert row["label"] in {"good", "bad"}


def test_standard_input_is_text(folder: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "llm_lab", "predict", "run", "--input", "-"]
    text = "a bright film\n\na dull story\n"
    done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["text"] for row in rows if row["label"]] == ["a bright film", "a dull story"]


def test_cells_that_a_spreadsheet_would_run_are_quoted(lab: Callable[..., Result], folder: Path) -> None:
    (folder / "evil.csv").write_text('text\n"=cmd|calc!A1"\n')
    (row,) = csv.DictReader(io.StringIO(lab("predict", "run", "--input", "evil.csv").out))
    assert row["text"].startswith("'=")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "run", "--input", "missing.csv"], "missing.csv"),
        (["predict", "nowhere", "--input", "toy.csv"], "nowhere"),
        (["predict", "run", "--input", "toy.csv", "--column", "txt"], "did you mean"),
        (["predict", "run"], "--input"),
    ],
)
def test_bad_words_give_one_line(lab: Callable[..., Result], words: list[str], message: str) -> None:
    result = lab(*words)
    assert result.code in {1, 2}
    assert message in result.err
    assert "Traceback" not in result.err
