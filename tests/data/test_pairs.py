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


def paraphrases(count: int) -> list[tuple[str, str, object]]:
    """Whether two sentences say the same in another order."""
    return [(f"{a}, they say", f"they say {b}", label) for a, b, label in inference(count)]


def neutral(count: int) -> list[tuple[str, str, object]]:
    """Entailment, contradiction, and sentences that have nothing to do with each other."""
    names = {"yes": "entailment", "no": "contradiction"}
    rows: list[tuple[str, str, object]] = [(a, b, names[str(label)]) for a, b, label in inference(count)]
    return [
        (a, "it rains", "neutral") if n % 3 == 2 else (a, b, label) for n, (a, b, label) in enumerate(rows)
    ]


def similar(count: int) -> list[tuple[str, str, object]]:
    """How alike two sentences are, from 1 to 5."""
    return [(a, b, 5.0 if label == "yes" else 1.0) for a, b, label in inference(count)]


FAMILIES = {"inference": neutral, "paraphrase": paraphrases, "similarity": similar}
NUMBERS = ("task=text_regression", "data.problem=regression")


def words_of(family: str) -> tuple[str, ...]:
    return ("+experiment=toy", *NLI, *(NUMBERS if family == "similarity" else ()), "hydra.run.dir=run")


@pytest.mark.parametrize("family", FAMILIES)
def test_two_steps_then_evaluate_predict_and_plain_transformers(
    family: str, toy: Path, lab: Callable[..., Result]
) -> None:
    write(toy / "pairs.csv", FAMILIES[family](90))
    result = lab(*words_of(family), "trainer.max_steps=2")
    assert result.code == 0, result.err
    metrics = json.loads((toy / "run" / "metrics.json").read_text())
    name = "pearson" if family == "similarity" else "accuracy"
    assert {f"test/{name}", f"baseline/tfidf/{name}", "test/loss"} <= metrics.keys()
    assert metrics["run/steps"] == 2

    assert lab("evaluate", "run").code == 0
    (kept,) = (toy / "run" / "evaluations").glob("*.json")
    again = json.loads(kept.read_text())["metrics"]
    assert again["test/loss"] == pytest.approx(metrics["test/loss"], rel=1e-4)

    write(toy / "new.csv", [("Anna is in Rome", "someone is in Rome", ""), ("Anna is in Rome", "", "")])
    result = lab("predict", "run", "--input", "new.csv", "--output", "out.csv")
    assert result.code == 0, result.err
    with (toy / "out.csv").open() as file:
        told, silent = csv.DictReader(file)
    assert told["pair"] == "someone is in Rome"

    tokenizer = AutoTokenizer.from_pretrained(toy / "run" / "model")
    model = AutoModelForSequenceClassification.from_pretrained(toy / "run" / "model").eval()
    inputs = tokenizer("Anna is in Rome", "someone is in Rome", return_tensors="pt")
    assert inputs["token_type_ids"].sum() > 0
    logits = model(**inputs).logits[0].detach()
    if family == "similarity":
        assert silent["value"] == ""
        assert float(told["value"]) == pytest.approx(float(logits[0]), abs=1e-5)
    else:
        scores = logits.softmax(-1)
        assert silent["label"] == ""
        assert told["label"] == model.config.id2label[int(scores.argmax())]
        assert float(told["probability"]) == pytest.approx(float(scores.max()), abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_over_fits_32_pairs(family: str, toy: Path, lab: Callable[..., Result]) -> None:
    rows = FAMILIES[family](32)
    write(toy / "pairs.csv", rows)
    result = lab(
        *words_of(family), "data.source={train: file://pairs.csv}", "model.dropout=0", "optimizer.lr=2e-3",
        "model.sizes.hidden_size=64", "model.sizes.intermediate_size=128", "model.sizes.num_hidden_layers=2",
        "trainer.max_epochs=60", "mode.baseline=false",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert lab("predict", "run", "--input", "pairs.csv", "--output", "out.csv").code == 0
    with (toy / "out.csv").open() as file:
        told = list(csv.DictReader(file))
    if family == "similarity":
        right = [
            abs(float(one["value"]) - float(str(row[2]))) < 1 for one, row in zip(told, rows, strict=True)
        ]
    else:
        right = [one["label"] == row[2] for one, row in zip(told, rows, strict=True)]
    assert sum(right) > 28


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
