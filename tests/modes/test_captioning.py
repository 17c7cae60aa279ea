"""Captions are learned, written, saved, measured again and predicted, all from config."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result
from tests.multimodal import COLUMNS, manifest, told_and_moved
from tests.strategies.pair import train_in_pair

DATA = f"""# A toy manifest with captions, for tests.
defaults: [multimodal]
source: file://../../rows.csv
columns: {json.dumps({name: COLUMNS[name] for name in ("picture", "amounts")} | {"label": "town"})}
problem: transcript
folded: false
split: {{val: 0.2, test: 0.3}}
tokenizer: ${{model.language.tokenizer}}
batch_size: 8
max_length: 16
"""
EXPERIMENT = """# @package _global_
# A toy that writes.
defaults:
  - override /data: toy_captions
  - override /model: multimodal
  - override /model/image: cnn
  - override /model/language: llama_tiny
  - override /task: captioning
  - override /baseline: transcripts
  - override /logger: none
  - override /scheduler: constant
model:
  width: 32
  image: {widths: [8, 16]}
  language:
    sizes: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 1,
            intermediate_size: 16}
    tokenizer: {vocab_size: 300}
    dropout: 0.0
optimizer: {lr: 1.0e-2}
trainer: {max_epochs: 30, enable_progress_bar: false, precision: 32-true}
"""


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a manifest and an experiment over it."""
    manifest(tmp_path, rows=60)
    for name, text in (("data/toy_captions", DATA), ("experiment/captions", EXPERIMENT)):
        path = tmp_path / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_whole_way(toys: Path, lab: Callable[..., Result]) -> None:
    result = lab("+experiment=captions", "hydra.run.dir=run")
    assert result.code == 0, result.err
    metrics = json.loads((toys / "run/metrics.json").read_text())
    assert (
        metrics["test/exact"] == 1.0 == metrics["test/chrf"] == metrics["test/bleu_2"]
        and metrics["test/perplexity"] < 1.5
    )
    assert metrics["baseline/nearest_row/exact"] == 1.0 and 0 < metrics["baseline/common_text/exact"] < 1
    assert "baseline/nearest_row/perplexity" not in metrics and metrics["run/flops"] > 0

    assert lab("evaluate", "run", "task.beams=2").code == 0
    (evaluation,) = (toys / "run/evaluations").glob("*.json")
    again = json.loads(evaluation.read_text())["metrics"]
    assert again["test/loss"] == pytest.approx(metrics["test/loss"], abs=1e-4) and again["test/exact"] == 1.0

    rows, elsewhere = told_and_moved(toys, lab)
    assert [row["text"] for row in rows] == [
        "red town",
        "",
        "red town",
        *["blue town", "red town", "blue town"],
    ]
    assert [row["problem"] for row in rows[:2]] == ["", "no such file: nowhere.png"]

    assert elsewhere["metrics"]["test/exact"] == 1.0


COMMON = (
    "+experiment=captions",
    "trainer.max_epochs=8",
    "model.dropout=0",
    "data.columns.picture=null",  # its tower standardizes by the batch of a rank
    "callbacks.early_stopping=null",
    "mode.report=false",
    "mode.baseline=false",
)
SHARED_OUT = {"fsdp2": ("strategy=fsdp2",)}
if importlib.util.find_spec("deepspeed"):
    SHARED_OUT["zero3"] = (
        "strategy=deepspeed_zero3",
        "strategy.config={zero_optimization:{stage3_param_persistence_threshold:0}}",
    )


def test_ranks_that_hold_parts_of_the_weights_write_what_one_process_writes(
    toys: Path, lab: Callable[..., Result]
) -> None:
    data = toys / "conf/data/toy_captions.yaml"  # texts of several lengths end at unlike many tokens
    data.write_text(data.read_text().replace('"label": "town"', '"label": "text"'))
    result = lab(*COMMON, "hydra.run.dir=whole")
    assert result.code == 0, result.err
    halves = ("data.batch_size=4", "launch.oversubscribe=true")
    train_in_pair(toys, {name: [*COMMON, *halves, *words] for name, words in SHARED_OUT.items()})
    one, *others = (json.loads((toys / name / "metrics.json").read_text()) for name in ("whole", *SHARED_OUT))
    for other in others:
        assert other["run/world_size"] == 2
        assert other["test/loss"] == pytest.approx(one["test/loss"], abs=1e-4)
        assert other["test/cer"] == pytest.approx(one["test/cer"], abs=1e-4)


def test_a_task_that_does_not_write_is_refused(toys: Path, lab: Callable[..., Result]) -> None:
    result = lab("check", "+experiment=captions", "task=sequence_classification")
    assert result.code != 0 and "task=captioning" in result.err
    result = lab("+experiment=captions", "peft=lora", "hydra.run.dir=none")
    assert result.code != 0 and "nothing came with weights" in result.err
