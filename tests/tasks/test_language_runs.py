"""Objectives over running text from the command line: two steps, the same figures again, plain transformers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.conftest import PLAIN, Result

BERT = (
    "model.sizes.hidden_size=16",
    "model.sizes.num_hidden_layers=1",
    "model.sizes.num_attention_heads=2",
    "model.sizes.intermediate_size=32",
)
GPT2 = ("model.sizes.n_embd=16", "model.sizes.n_layer=1", "model.sizes.n_head=2")
T5 = ("model.sizes.d_model=16", "model.sizes.d_kv=8", "model.sizes.d_ff=32", "model.sizes.num_heads=2",
      "model.sizes.num_layers=1", "model.sizes.num_decoder_layers=1")  # fmt: skip
OBJECTIVES = {
    "causal_lm": ("model=gpt2_tiny", *GPT2),
    "masked_lm": ("model=bert_tiny", "data.next_token=false", *BERT),
    "masked_lm_nsp": ("model=bert_tiny", "data.next_token=false", "data.layout=sentence_pairs", *BERT),
    "replaced_token": ("model=electra_tiny", "data.next_token=false", "task.generator_size=0.5", *BERT),
    "span_corruption": ("model=t5_tiny", "data.next_token=false", *T5),
}


def corpus(folder: Path) -> None:
    """A few documents of some sentences each, a document a line."""
    rng = random.Random(0)
    sentences = [[" ".join(rng.choices(PLAIN, k=6)).capitalize() + "." for _ in range(6)] for _ in range(80)]
    (folder / "text.txt").write_text("".join(" ".join(some) + "\n" for some in sentences))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_steps_then_evaluate_and_predict(objective: str, toy: Path, lab: Callable[..., Result]) -> None:
    corpus(toy)
    result = lab(
        "data=corpus", "data.source=file://text.txt", "data.document=line", "data.split={val: 0.2, test: 0.2}",
        "data.near_duplicates=null", "data.max_length=32", "data.batch_size=4", f"task={objective}",
        *OBJECTIVES[objective], "model.tokenizer.vocab_size=300", "baseline=language", "logger=none",
        "trainer.max_steps=2", "trainer.enable_progress_bar=false", "trainer.precision=32-true",
        "callbacks.early_stopping=null", "hydra.run.dir=run",
    )  # fmt: skip
    assert result.code == 0, result.err
    metrics = json.loads((toy / "run" / "metrics.json").read_text())
    assert metrics["run/steps"] == 2

    result = lab("evaluate", "run")
    assert result.code == 0, result.err
    (kept,) = (toy / "run" / "evaluations").glob("*.json")
    again = json.loads(kept.read_text())["metrics"]
    assert again["test/loss"] == pytest.approx(metrics["test/loss"], rel=1e-4)

    (toy / "in.txt").write_text("the film a story with its cast was made in town by us\n" * 2)
    result = lab("predict", "run", "--input", "in.txt", "--output", "out.jsonl")
    if objective == "span_corruption":
        assert result.code == 0, result.err
        rows = [json.loads(line) for line in (toy / "out.jsonl").read_text().splitlines()]
        assert [row["filled"] for row in rows] == [row["text"] for row in rows]  # nothing is missing in them
        return
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in (toy / "out.jsonl").read_text().splitlines()]
    assert rows[0] == rows[1]
    assert rows[0]["tokens"] > 0
    if objective == "replaced_token":
        assert 0 < rows[0]["replaced"] < 1
        return
    assert 1 < rows[0]["perplexity"] < 1000  # of 300 tokens, barely trained
    if objective == "causal_lm":
        plain = plain_loss(toy / "run" / "model", (toy / "in.txt").read_text().splitlines()[0])
        assert rows[0]["nats_per_token"] == pytest.approx(plain, abs=1e-4)


def plain_loss(folder: Path, text: str) -> float:
    """What a user of transformers computes."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        return float(model.eval()(**inputs, labels=inputs["input_ids"]).loss)
