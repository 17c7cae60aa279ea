"""Choices and vectors from a model folder: every output format, rows that say nothing, plain transformers beside."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForMultipleChoice, BertModel

from llm_lab.models.sentence import write_sentence_files
from llm_lab.tasks.segments import input_names
from tests.conftest import Result
from tests.tasks.pretraining import BERT, tokenizer_folder

ASKED = [("a b c", "d", "e f g hc"), ("f g", "a b c d e", ""), ("c", "b", "a"), ("", "d", "e")]


def saved(model: Any, folder: Path, **facts: Any) -> Any:
    """A folder as a run leaves it; returns its tokenizer."""
    torch.manual_seed(0)
    config = BertConfig(**BERT, vocab_size=40, initializer_range=0.5)
    made = model(config).eval()
    made.save_pretrained(folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder(), model_input_names=input_names(config))
    tokenizer.save_pretrained(folder / "model")
    told = {"max_length": 16, "labels": [], **facts}
    (folder / "model" / "llm_lab.json").write_text(json.dumps(told))
    return made, tokenizer


def said(lab: Callable[..., Result], folder: Path, source: str, output: str) -> Path:
    result = lab("predict", str(folder), "--input", str(folder / source), "--output", str(folder / output))
    assert result.code == 0, result.err
    return folder / output


@pytest.mark.parametrize("columns", ["listed", "several"])
def test_the_choice_is_that_of_plain_transformers(
    columns: str, tmp_path: Path, lab: Callable[..., Result]
) -> None:
    names = ["choices"] if columns == "listed" else ["one", "two"]
    roles = {"text": ["ask"], "choices": names, "label": ["right"]}
    model, tokenizer = saved(
        BertForMultipleChoice, tmp_path, problem="choice", task="MultipleChoice", columns=roles
    )
    if columns == "listed":
        rows = [{"ask": ask, "choices": [one for one in told if one]} for ask, *told in ASKED]
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        lines = said(lab, tmp_path, "in.jsonl", "out.jsonl").read_text().splitlines()
        answers = [json.loads(line) for line in lines]
        assert [{"ask": row["ask"], "choices": row["choices"]} for row in answers] == rows
    else:
        with (tmp_path / "in.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("ask", "one", "two"), *ASKED])
        answers = list(csv.DictReader(said(lab, tmp_path, "in.csv", "out.csv").read_text().splitlines()))
        assert list(answers[0]) == ["ask", "one", "two", "label", "choice", "probability"]
    for row, (ask, *told) in zip(answers, ASKED, strict=True):
        if not ask or "" in told:
            assert row["label"] == row["choice"] == row["probability"] == ""
            continue
        inputs = tokenizer([ask] * 2, told, return_tensors="pt", padding=True)
        with torch.no_grad():
            scores = model(**{name: value[None] for name, value in inputs.items()}).logits[0].softmax(-1)
        assert int(row["label"]) == int(scores.argmax())
        assert row["choice"] == told[int(row["label"])]
        assert float(row["probability"]) == pytest.approx(float(scores.max()), abs=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_vectors_are_those_of_plain_transformers_in_every_format(
    pooling: Any, tmp_path: Path, lab: Callable[..., Result]
) -> None:
    roles = {"text": ["anchor"], "anchor": "anchor", "positive": "positive"}
    model, tokenizer = saved(BertModel, tmp_path, problem="pairs", task="Contrastive", columns=roles)
    folder = tmp_path / "model"
    write_sentence_files(folder, width=32, max_length=16, pooling=pooling, normalize=pooling == "mean")
    texts = ["a b c d", "", "f g hc a b c", "t"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"anchor": text}) + "\n" for text in texts))
    lines = said(lab, tmp_path, "in.jsonl", "out.jsonl").read_text().splitlines()
    vectors = [json.loads(line)["embedding"] for line in lines]
    assert vectors[1] == []
    for text, vector in zip(texts, vectors, strict=True):
        if text:
            assert np.allclose(vector, plain(model, tokenizer, text, pooling), atol=1e-5)
    table = csv.DictReader(said(lab, tmp_path, "in.jsonl", "out.csv").read_text().splitlines())
    assert [json.loads(row["embedding"]) for row in table] == vectors
    array = np.load(said(lab, tmp_path, "in.jsonl", "out.npy"))
    assert (array.dtype, array.shape) == (np.float32, (4, 32))
    assert not array[1].any()
    assert np.allclose(array[[0, 2, 3]], [vector for vector in vectors if vector], atol=1e-6)


def plain(model: Any, tokenizer: Any, text: str, pooling: str) -> Any:
    """A vector without padding: of the tokens' states their mean made as long as one, the first, or the largest."""
    with torch.no_grad():
        states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    if pooling == "mean":
        return torch.nn.functional.normalize(states.mean(0), dim=0).numpy()
    return (states[0] if pooling == "cls" else states.max(0).values).numpy()
