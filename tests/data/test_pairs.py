"""Pairs of sentences: inference with labels, similarity with numbers."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.conftest import Result

NAMES = ("Anna", "Bert", "Cleo", "Dora", "Emil")
PLACES = ("Rome", "Oslo", "Lima", "Cairo")
NLI = ("data=pairs", "data.source=file://pairs.csv", "data.batch_size=8", "logger=none", "mode.report=false")


def write(path: Path, rows: list[tuple[str, str, object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "pair", "label"), *rows])


def inference(count: int) -> list[tuple[str, str, object]]:
    """Whether the second sentence follows from the first: only who reads both can know."""
    rng = random.Random(0)
    rows: list[tuple[str, str, object]] = []
    for number in range(count):
        place, other = rng.sample(PLACES, 2)
        follows = number % 2 == 0
        said = f"{rng.choice(NAMES)} {number} is in {place}"
        rows.append((said, f"someone is in {place if follows else other}", "yes" if follows else "no"))
    return rows


def test_pairs_train_and_are_told_apart(toy: Path, lab: Callable[..., Result]) -> None:
    write(toy / "pairs.csv", inference(120))
    result = lab("+experiment=toy", *NLI, "trainer.max_epochs=1", "hydra.run.dir=run")
    assert result.code == 0, result.err
    metrics = json.loads((toy / "run" / "metrics.json").read_text())
    assert {"test/accuracy", "baseline/tfidf/accuracy", "baseline/majority/accuracy"} <= metrics.keys()

    write(toy / "new.csv", [("Anna is in Rome", "someone is in Rome", ""), ("Anna is in Rome", "", "")])
    result = lab("predict", "run", "--input", "new.csv", "--output", "out.csv")
    assert result.code == 0, result.err
    with (toy / "out.csv").open() as file:
        told, silent = csv.DictReader(file)
    assert (told["pair"], silent["label"]) == ("someone is in Rome", "")

    tokenizer = AutoTokenizer.from_pretrained(toy / "run" / "model")
    model = AutoModelForSequenceClassification.from_pretrained(toy / "run" / "model")
    inputs = tokenizer("Anna is in Rome", "someone is in Rome", return_tensors="pt")
    scores = model(**inputs).logits[0].softmax(-1)
    assert inputs["token_type_ids"].sum() > 0
    assert told["label"] == model.config.id2label[int(scores.argmax())]
    assert float(told["probability"]) == pytest.approx(float(scores.max().detach()), abs=1e-5)


def test_similarity_is_a_number_per_pair(toy: Path, lab: Callable[..., Result]) -> None:
    rows = [(a, b, 5.0 if label == "yes" else 1.0 + n % 3) for n, (a, b, label) in enumerate(inference(120))]
    write(toy / "pairs.csv", rows)
    words = (
        *NLI,
        "task=text_regression",
        "data.problem=regression",
        "trainer.max_epochs=1",
        "hydra.run.dir=run",
    )
    result = lab("+experiment=toy", *words)
    assert result.code == 0, result.err
    metrics = json.loads((toy / "run" / "metrics.json").read_text())
    assert {"test/pearson", "test/spearman", "baseline/tfidf/pearson"} <= metrics.keys()


def test_a_model_without_types_takes_pairs(toy: Path, lab: Callable[..., Result]) -> None:
    write(toy / "pairs.csv", inference(60))
    words = (
        "+experiment=toy",
        "+debug=smoke",
        *NLI,
        "model=roberta_tiny",
        "mode.baseline=false",
        "hydra.run.dir=run",
    )
    result = lab(*words)
    assert result.code == 0, result.err


def test_duplicates_are_pairs_whose_texts_are_both_the_same(toy: Path, lab: Callable[..., Result]) -> None:
    from llm_lab.data.text_classification import TextClassificationData
    from tests.data.conftest import TOKENIZER

    rows: list[tuple[str, str, object]] = [
        ("one", "two", "x"),
        ("one", "two", "x"),
        ("one", "three", "y"),
        ("a", "b", "x"),
    ]
    write(toy / "pairs.csv", rows)
    columns = {"text": "text", "pair": "pair", "label": "label"}
    source = {"train": f"file://{toy}/pairs.csv"}
    data = TextClassificationData(source=source, columns=columns, tokenizer=TOKENIZER, licence="test")
    spec = data.prepare()
    assert spec.sizes == {"train": 3}
    assert spec.summary["duplicates"] == {"train": 1}
    assert [row["pair"] for row in data.rows("train")] == ["two", "three", "b"]
    batch = next(iter(data.train_dataloader()))
    assert batch["token_type_ids"].shape == batch["input_ids"].shape
