"""Multiple choice, from a table to answers."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMultipleChoice, AutoTokenizer

from llm_lab.data.multiple_choice import MultipleChoiceData
from tests.conftest import Result
from tests.data.conftest import TOKENIZER

COLOURS = ("red", "green", "blue", "black")
WORDS = (
    "data=choices", "data.source=file://quiz.jsonl", "data.batch_size=8", "task=multiple_choice",
    "baseline=multiple_choice", "logger=none", "hydra.run.dir=run",
)  # fmt: skip


def quiz(count: int) -> list[dict[str, object]]:
    """The right choice repeats a word of the text; some rows have fewer choices than others."""
    rng = random.Random(0)
    rows: list[dict[str, object]] = []
    for number in range(count):
        choices = rng.sample(COLOURS, 3 + number % 2)
        label = rng.randrange(len(choices))
        rows.append({"text": f"{number} the ball is {choices[label]}", "choices": choices, "label": label})
    return rows


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_train_and_predict(toy: Path, lab: Callable[..., Result]) -> None:
    write(toy / "quiz.jsonl", quiz(80))
    result = lab("+experiment=toy", *WORDS, "trainer.max_epochs=1")
    assert result.code == 0, result.err
    metrics = json.loads((toy / "run" / "metrics.json").read_text())
    assert 0 <= metrics["test/accuracy"] <= 1
    assert metrics["baseline/overlap/accuracy"] == 1

    assert lab("evaluate", "run").code == 0
    (kept,) = (toy / "run" / "evaluations").glob("*.json")
    assert json.loads(kept.read_text())["metrics"]["test/accuracy"] == pytest.approx(metrics["test/accuracy"])

    asked = [{"text": "the ball is red", "choices": ["blue", "red"]}, {"text": "no choices", "choices": []}]
    write(toy / "new.jsonl", asked)
    result = lab("predict", "run", "--input", "new.jsonl", "--output", "out.jsonl")
    assert result.code == 0, result.err
    told, silent = map(json.loads, (toy / "out.jsonl").read_text().splitlines())
    assert silent["label"] == ""

    tokenizer = AutoTokenizer.from_pretrained(toy / "run" / "model")
    model = AutoModelForMultipleChoice.from_pretrained(toy / "run" / "model").eval()
    inputs = tokenizer(["the ball is red"] * 2, ["blue", "red"], return_tensors="pt", padding=True)
    with torch.no_grad():
        scores = model(**{name: value[None] for name, value in inputs.items()}).logits[0].softmax(-1)
    assert told["label"] == int(scores.argmax())
    assert told["choice"] == ["blue", "red"][told["label"]]
    assert told["probability"] == pytest.approx(float(scores.max()), abs=1e-5)


def test_over_fits_32_rows(toy: Path, lab: Callable[..., Result]) -> None:
    rows = quiz(32)
    write(toy / "train.jsonl", rows)
    sizes = (
        "model.sizes.hidden_size=64",
        "model.sizes.intermediate_size=128",
        "model.sizes.num_hidden_layers=2",
    )
    options = ("data.source={train: file://train.jsonl}", "model.dropout=0", "optimizer.lr=2e-3")
    quick = ("trainer.max_epochs=60", "mode.report=false", "mode.baseline=false")
    result = lab("+experiment=toy", *WORDS, *sizes, *options, *quick)
    assert result.code == 0, result.err
    result = lab("predict", "run", "--input", "train.jsonl", "--output", "out.jsonl")
    assert result.code == 0, result.err
    told = [json.loads(line)["label"] for line in (toy / "out.jsonl").read_text().splitlines()]
    assert sum(one == row["label"] for one, row in zip(told, rows, strict=True)) > 28


def test_labels_are_numbers_letters_or_texts_and_bad_rows_are_named(tmp_path: Path) -> None:
    rows = [
        ("q1", "x", "y", "B"),
        ("q2", "x", "y", "0"),
        ("q3", "x", "y", "y"),
        ("q4", "x", "", "A"),
        ("q5", "x", "y", "Z"),
    ]
    with (tmp_path / "quiz.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("q", "a", "b", "answer"), *rows])
    data = MultipleChoiceData(
        source={"train": f"file://{tmp_path}/quiz.csv"},
        columns={"text": "q", "choices": ["a", "b"], "label": "answer"},
        tokenizer=TOKENIZER,
        licence="test",
        max_rejected=0.5,
    )
    data.prepare()
    assert [row["label"] for row in data.rows("train")] == [1, 0, 1]
    assert data.rejected
    reasons = [json.loads(line) for line in data.rejected.read_text().splitlines()]
    assert [(row["line"], row["reason"]) for row in reasons] == [
        (5, "fewer than two choices"),
        (6, "unknown label"),
    ]
