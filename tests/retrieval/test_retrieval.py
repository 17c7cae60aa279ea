"""Sentence embeddings from tables to vectors: data with flaws, a training that fits, an artifact others can read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from llm_lab.config import build
from llm_lab.data.module import DataModule
from llm_lab.errors import ConfigError, DataError
from tests.conftest import Result

WORDS = (
    "amber birch cedar daisy elder flint grape hazel iris jade kelp lemon mango nutmeg olive pearl".split()
)


def some_pairs(count: int) -> list[dict[str, object]]:
    """Two words each, in another order and with other words about them."""
    made = []
    for number in range(count):
        first, second = WORDS[number % 16], WORDS[(number // 16 + number + 1) % 16]
        made.append(
            {"anchor": ["we show", f"{first} and {second}"], "positive": f"about {second} beside {first}"}
        )
    return made


def write(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"file://{path}"


def module(source: object, **changes: object) -> DataModule:
    node = {
        "_target_": "llm_lab.data.pairs.PairData",
        "source": source,
        "licence": "ours",
        "tokenizer": {
            "_target_": "llm_lab.data.tokenizers.Trained",
            "kind": "wordpiece",
            "vocab_size": 200,
        },
        "max_length": 16,
        "batch_size": 8,
    }
    return build(node | changes, expected=DataModule, key="data")


def test_rows_of_one_anchor_become_one_row(tmp_path: Path) -> None:
    rows = [
        {"anchor": "a b", "positive": "one", "negative": ["three", "one"]},
        {"anchor": ["a", "b"], "positive": ["two", "one"], "negative": None},
        {"anchor": "c", "positive": "two", "negative": "one"},
    ]
    columns = {"anchor": "anchor", "positive": "positive", "negative": "negative"}
    data = module({"train": write(tmp_path / "t.jsonl", rows)}, columns=columns)
    assert data.prepare().summary["pairs"] == {"train": 3}
    assert [(row["positive"], row["negative"]) for row in data.rows("train")] == [
        (["one", "two"], ["three"]),
        (["two"], ["one"]),
    ]
    batch = next(iter(data.train_dataloader()))
    assert float(batch["step_targets"]) == 3
    assert batch["positive"].sum() == 3
    assert len(batch["text"]) == len(batch["owner"]) == len(batch["candidate_ids"]) == 5
    assert len(batch["text"].unique()) == 3
    assert set(batch["owner"].tolist()) == set(batch["anchor"].tolist())


def test_the_tokens_are_those_of_the_texts(tmp_path: Path) -> None:
    data = module({"train": write(tmp_path / "t.jsonl", some_pairs(20))})
    spec = data.prepare()
    tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer)
    rows = list(data.rows("train"))
    for batch in data.train_dataloader():
        chosen = [rows[number] for number in batch["index"]]
        for name, texts in (
            ("input_ids", [row["anchor"] for row in chosen]),
            ("candidate_ids", [row["positive"][0] for row in chosen]),
        ):
            assert torch.equal(batch[name], tokenizer(texts, padding=True, return_tensors="pt")["input_ids"])


def test_rows_that_share_a_text_with_a_later_split_are_left_out(tmp_path: Path) -> None:
    rows = some_pairs(30)
    data = module({"train": write(tmp_path / "t.jsonl", rows), "test": write(tmp_path / "e.jsonl", rows[:5])})
    assert data.prepare().sizes == {"train": 25, "test": 5}
    assert data.spec.summary["leaks"] == {"train": 5}


def test_without_a_split_a_hash_of_the_anchor_decides(tmp_path: Path) -> None:
    rows = [{"anchor": f"text {number}", "positive": f"answer {number}"} for number in range(500)]
    sizes = module(write(tmp_path / "t.jsonl", rows)).prepare().sizes
    assert sum(sizes.values()) == 500
    assert 30 < sizes["val"] < 70
    assert 30 < sizes["test"] < 70


def test_bad_input_is_named(tmp_path: Path) -> None:
    good = write(tmp_path / "t.jsonl", some_pairs(4))
    with pytest.raises(DataError, match=r"no column `answer`.*did you mean|no column `answer`"):
        module({"train": good}, columns={"positive": "answer"}).prepare()
    with pytest.raises(ConfigError, match=r"data\.columns\.anker: unknown role; did you mean `anchor`"):
        module({"train": good}, columns={"anker": "anchor"})
    bad = write(tmp_path / "b.jsonl", [{"anchor": "a", "positive": []}, {"anchor": 3, "positive": "x"}])
    with pytest.raises(DataError, match=r"2 of 2 rows rejected.*no positive \(first b\.jsonl:1\)"):
        module({"train": bad}).prepare()


EXPERIMENT = """# @package _global_
# Pairs, for tests.
defaults:
  - override /data: text_pairs
  - override /model: toy
  - override /task: contrastive
  - override /baseline: retrieval
  - override /logger: none
baseline: {untouched: null} # there is no encoder to start from
data: {max_length: 16, batch_size: 32}
optimizer: {lr: 1.0e-2}
trainer: {max_epochs: 40, enable_progress_bar: false, precision: 32-true}
callbacks: {early_stopping: null}
"""


def test_thirty_two_pairs_are_learned_and_their_encoder_is_anyones(
    toy: Path, lab: Callable[..., Result]
) -> None:
    (toy / "conf" / "experiment" / "pairs.yaml").write_text(EXPERIMENT)
    uri = write(toy / "pairs.jsonl", some_pairs(32))
    source = f"data.source={{train: {uri}, val: {uri}, test: {uri}}}"
    result = lab("+experiment=pairs", source, "data.leaks=keep", "hydra.run.dir=run")
    assert result.code == 0, result.err
    metrics = json.loads((toy / "run" / "metrics.json").read_text())
    assert metrics["test/recall_at_1"] > 0.9
    assert metrics["test/back_recall_at_1"] > 0.9
    assert metrics["test/loss"] < 0.5
    assert metrics["baseline/bm25/recall_at_1"] == 1  # no two pairs have both words in common

    result = lab("predict", "run", "--input", "pairs.jsonl", "--output", "out.npy")
    assert result.code == 0, result.err
    vectors = np.load(toy / "out.npy")
    texts = [" ".join(row["anchor"]) for row in some_pairs(32)]
    assert np.allclose(vectors, plain_mean(toy / "run" / "model", texts), atol=1e-5)

    result = lab("predict", "run", "--input", "pairs.jsonl", "--output", "out.jsonl", "--column", "positive")
    assert result.code == 0, result.err
    answered = [json.loads(line) for line in (toy / "out.jsonl").read_text().splitlines()]
    found = np.array([row["embedding"] for row in answered])
    assert ((vectors @ found.T).argmax(1) == np.arange(32)).mean() == pytest.approx(
        metrics["test/recall_at_1"], abs=0.04
    )

    result = lab("evaluate", "run")
    assert result.code == 0, result.err
    kept = json.loads(next((toy / "run" / "evaluations").iterdir()).read_text())["metrics"]
    assert kept["test/recall_at_1"] == pytest.approx(metrics["test/recall_at_1"])


def plain_mean(folder: Path, texts: list[str]) -> np.ndarray:
    """What the model cards of sentence-transformers tell users of transformers to do."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1).float()
    means = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(means, dim=1).numpy()
