"""Texts in, nats per token and perplexity out: what plain transformers says of the same folder."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from llm_lab.predictors import predictor
from tests.conftest import Result
from tests.tasks.pretraining import LENGTH, objective

TEXTS = ["a b c d e", "", "f", " ".join("abcdefghijklmnopqrst" * 2), "f g hc a b c d t s r q p o n m"]
CAUSAL = [("causal_lm.CausalLM", "gpt2"), ("causal_lm.CausalLM", "llama")]
MASKED = [
    ("masked_lm.MaskedLM", "bert"),
    ("masked_lm.MaskedLM", "modernbert"),
    ("next_sentence.NextSentence", "bert"),
]


def saved(name: str, architecture: str, folder: Path) -> Path:
    """The artifact of a model that was never trained."""
    task = objective(name, architecture).eval()
    task._trainer = None  # type: ignore[assignment]
    task.save_artifact(folder / "model")
    return folder / "model"


def said(lab: Callable[..., Result], folder: Path, texts: list[str] = TEXTS) -> list[dict[str, object]]:
    lines = [json.dumps({"id": number, "text": text}) + "\n" for number, text in enumerate(texts)]
    (folder / "in.jsonl").write_text("".join(lines))
    output = folder / "out.jsonl"
    result = lab("predict", str(folder), "--input", str(folder / "in.jsonl"), "--output", str(output))
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(row["id"], row["text"]) for row in rows] == list(enumerate(texts))
    return rows


@pytest.mark.parametrize(("name", "architecture"), CAUSAL)
def test_a_causal_model_is_scored_as_by_its_own_loss(
    name: str, architecture: str, tmp_path: Path, lab: Callable[..., Result]
) -> None:
    folder = saved(name, architecture, tmp_path)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for row, text in zip(said(lab, tmp_path), TEXTS, strict=True):
        ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=LENGTH)["input_ids"].long()
        if ids.shape[1] < 2:
            assert row["tokens"] == ("" if not text else 0)
            assert row["nats_per_token"] == row["perplexity"] == ""
            continue
        with torch.no_grad():
            loss = float(model.eval()(input_ids=ids, labels=ids).loss)
        assert row["tokens"] == ids.shape[1] - 1 < LENGTH
        assert row["nats_per_token"] == pytest.approx(loss, abs=1e-5)
        assert row["perplexity"] == pytest.approx(math.exp(loss), rel=1e-4)


@pytest.mark.parametrize(("name", "architecture"), MASKED)
def test_a_masked_model_is_scored_on_hidden_tokens_as_by_its_own_loss(
    name: str, architecture: str, tmp_path: Path, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_lab.predictors import language

    hidden: dict[str, torch.Tensor] = {}
    hide = language.hide

    def watched(tokens: torch.Tensor, *words: object, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
        changed, places = hide(tokens, *words, **options)  # type: ignore[arg-type]
        for row, place in zip(tokens, places, strict=True):
            hidden[str(row[row != 0].tolist())] = place[row != 0]
        return changed, places

    monkeypatch.setattr(language, "hide", watched)
    folder = saved(name, architecture, tmp_path)
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    scored = 0
    for row, text in zip(said(lab, tmp_path), TEXTS, strict=True):
        if not text:
            assert row["tokens"] == row["nats_per_token"] == row["perplexity"] == ""
            continue
        ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=LENGTH)["input_ids"]
        place = hidden[str(ids[0].tolist())][None]
        assert row["tokens"] == int(place.sum()) == round(0.15 * ids.shape[1])
        if not place.any():
            continue
        masked = ids.masked_fill(place, tokenizer.mask_token_id)
        with torch.no_grad():
            loss = float(model.eval()(input_ids=masked, labels=ids.masked_fill(~place, -100)).loss)
        assert row["nats_per_token"] == pytest.approx(loss, abs=1e-5)
        assert row["perplexity"] == pytest.approx(math.exp(loss), rel=1e-4)
        scored += 1
    assert scored == 3


@pytest.mark.parametrize(("name", "architecture"), [CAUSAL[0], MASKED[0]])
def test_a_text_scores_the_same_whatever_it_stands_beside(
    name: str, architecture: str, tmp_path: Path, lab: Callable[..., Result]
) -> None:
    saved(name, architecture, tmp_path)
    together = said(lab, tmp_path, [TEXTS[4], *TEXTS, TEXTS[4]])
    (alone,) = said(lab, tmp_path, [TEXTS[4]])
    for row in (together[0], together[5], together[6]):
        assert row["nats_per_token"] == pytest.approx(alone["nats_per_token"], abs=1e-5)


def test_tables_keep_their_columns(tmp_path: Path, lab: Callable[..., Result]) -> None:
    saved(*CAUSAL[0], tmp_path)
    (tmp_path / "in.csv").write_text("id,tokens,body\n7,=1+1,a b c\n8,x,\n")
    words = ("--input", str(tmp_path / "in.csv"), "--column", "body", "--output", str(tmp_path / "out.csv"))
    result = lab("predict", str(tmp_path), *words)
    assert result.code == 0, result.err
    first, second = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    assert list(first) == ["id", "input_tokens", "body", "tokens", "nats_per_token", "perplexity"]
    assert (first["id"], first["tokens"], first["input_tokens"][0]) == ("7", "2", "'")
    assert float(first["perplexity"]) == pytest.approx(math.exp(float(first["nats_per_token"])), rel=1e-4)
    assert (second["tokens"], second["perplexity"]) == ("", "")


def test_a_model_that_foresees_no_text_is_refused_by_name(tmp_path: Path, lab: Callable[..., Result]) -> None:
    facts = saved(*CAUSAL[0], tmp_path) / "llm_lab.json"
    facts.write_text(facts.read_text().replace('"CausalLM"', '"Permuted"'))
    (tmp_path / "in.txt").write_text("a b\n")
    result = lab("predict", str(tmp_path), "--input", str(tmp_path / "in.txt"))
    assert result.code != 0
    assert "a model of Permuted gives texts no probability; those of CausalLM, MaskedLM" in result.err


def test_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"holds no model: there is no .*llm_lab\.json"):
        predictor(tmp_path)
