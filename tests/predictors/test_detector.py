"""Which tokens were replaced, in the eyes of a discriminator: what plain transformers says of the same folder."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForPreTraining, AutoTokenizer

from llm_lab.predictors import predictor
from tests.tasks.pretraining import objective

TEXTS = ["a b c d e", "", "f g hc a b c d t s r q p o n m"]


def test_a_discriminator_is_asked_about_every_token(tmp_path: Path) -> None:
    task = objective("replaced_token.ReplacedToken", "electra").eval()
    task._trainer = None  # type: ignore[assignment]
    task.save_artifact(tmp_path / "model")
    folder = tmp_path / "model"
    one = predictor(folder)
    rows = list(one.answered({"text": text} for text in TEXTS))
    model, tokenizer = AutoModelForPreTraining.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for row, text in zip(rows, TEXTS, strict=True):
        if not text:
            assert (row["tokens"], row["replaced"], row["oddest"]) == ("", "", "")
            continue
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            scores = model.eval()(**inputs).logits.sigmoid()[0]
        ordinary = ~torch.isin(inputs["input_ids"][0], torch.tensor(tokenizer.all_special_ids))
        assert row["tokens"] == int(ordinary.sum())
        assert row["replaced"] == pytest.approx(float(scores[ordinary].mean()), abs=1e-5)
        odd = inputs["input_ids"][0][ordinary][scores[ordinary].argmax()]
        assert row["oddest"] == tokenizer.convert_ids_to_tokens(int(odd))
    stream = io.StringIO()
    one.write(iter(rows), stream, ".csv")
    assert next(csv.reader(io.StringIO(stream.getvalue()))) == ["text", "tokens", "replaced", "oddest"]
