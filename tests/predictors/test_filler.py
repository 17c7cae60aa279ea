"""Texts with sentinels in, filled texts out: what plain transformers generates from the same folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from llm_lab.predictors import predictor
from tests.conftest import Result
from tests.predictors.test_language import saved
from tests.tasks.pretraining import LENGTH

T5 = ("span_corruption.SpanCorruption", "t5")
TEXTS = ["a b <extra_id_0> e <extra_id_1> g", "", "a b c", "<extra_id_0>", "x <extra_id_99>"]


def test_sentinels_are_filled_as_plain_transformers_generates(
    tmp_path: Path, lab: Callable[..., Result]
) -> None:
    folder = saved(*T5, tmp_path)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    result = lab("predict", str(tmp_path), "--input", str(tmp_path / "in.jsonl"))
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [row["text"] for row in rows] == TEXTS
    assert [row["filled"] for row in rows[1:3]] == TEXTS[1:3]
    assert "<extra_id_99>" in rows[4]["filled"]
    assert all("<extra_id_0>" not in row["filled"] and "<extra_id_1>" not in row["filled"] for row in rows)
    model, tokenizer = (
        AutoModelForSeq2SeqLM.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    ids = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        (tokens,) = model.generate(
            ids, do_sample=False, max_new_tokens=LENGTH, eos_token_id=tokenizer.eos_token_id
        )
    spans = predictor(folder)._spans(tokens.tolist())  # type: ignore[attr-defined]
    told = f"a b {spans['<extra_id_0>']} e {spans['<extra_id_1>']} g"
    assert rows[0]["filled"] == told


@pytest.mark.parametrize(
    ("written", "filled"),
    [
        ("<extra_id_0> c d <extra_id_1> f [EOS] h", "a b c d e f g"),
        ("<extra_id_1> f <extra_id_0> c <extra_id_0> t", "a b c e f g"),
        ("h <extra_id_0> c ##a", "a b ca e  g"),
        ("[EOS]", "a b  e  g"),
    ],
)
def test_each_sentinel_gets_its_own_span(
    written: str, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = predictor(saved(*T5, tmp_path))
    tokens = model.tokenizer.convert_tokens_to_ids(written.split())
    monkeypatch.setattr(model.model, "generate", lambda **_: torch.tensor([tokens]))
    assert list(model.answer([{"text": TEXTS[0]}])) == [{"filled": filled}]
