"""A manifest is trained on, its model saved, evaluated, and asked about another manifest, all from config."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llm_lab.models  # noqa: F401 - registers our own classes
from tests.conftest import Result
from tests.multimodal import COLUMNS, leave_nothing_but, manifest, told_and_moved

NAMES = ("picture", "sound", "words")
DATA = f"""# A toy manifest, for tests.
defaults: [multimodal]
source: file://../../rows.csv
columns: {json.dumps(COLUMNS)}
split: {{val: 0.2, test: 0.3}}
tokenizer: ${{model.text.tokenizer}}
batch_size: 8
"""
EXPERIMENT = """# @package _global_
# A toy of five modalities.
defaults:
  - override /data: toy_manifest
  - override /model: multimodal
  - override /model/text: small
  - override /model/image: cnn
  - override /model/audio: cnn
  - override /model/fusion: gated
  - override /baseline: multimodal
  - override /logger: none
model:
  width: 16
  text:
    sizes: {hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16}
    tokenizer: {vocab_size: 200}
  image: {widths: [4, 8]}
  audio: {widths: [4, 8], width: 16}
optimizer: {lr: 1.0e-2}
trainer: {max_epochs: 6, enable_progress_bar: false, precision: 32-true}
"""


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a manifest and an experiment over it."""
    manifest(tmp_path, rows=60)
    for name, text in (("data/toy_manifest", DATA), ("experiment/toys", EXPERIMENT)):
        path = tmp_path / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def figures(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def test_the_whole_way(toys: Path, lab: Callable[..., Result]) -> None:
    result = lab("+experiment=toys", "hydra.run.dir=run")
    assert result.code == 0, result.err
    metrics = figures(toys / "run")
    assert metrics["test/accuracy"] == 1.0
    assert metrics["baseline/linear/accuracy"] > 0.9
    assert "Where the model looked" in (toys / "run/report.html").read_text()
    assert (toys / "run/model/model.safetensors").is_file()

    assert lab("evaluate", "run").code == 0
    (evaluation,) = (toys / "run/evaluations").glob("*.json")
    assert json.loads(evaluation.read_text())["metrics"]["test/loss"] == pytest.approx(
        metrics["test/loss"], abs=1e-4
    )

    rows, elsewhere = told_and_moved(toys, lab)
    assert [row["label"] for row in rows] == ["red", "", "red", "blue", "red", "blue"]
    assert [row["problem"] for row in rows[:2]] == ["", "no such file: nowhere.png"]

    assert elsewhere["words"] and elsewhere["metrics"]["test/accuracy"] == 1.0
    result = lab("predict", "away/run", "--input", "other/*.png")
    assert result.code == 1
    assert "a file is not enough; give the model a table with the columns file, wav, text" in result.err


def test_modalities_find_each_other(toys: Path, lab: Callable[..., Result]) -> None:
    words = ("task=cross_modal", "baseline=cross_modal", "data.problem=modalities", "data.columns.label=null")
    fewer = ("data.columns.amounts=null", "data.columns.places=null", "trainer.max_epochs=3")
    result = lab("+experiment=toys", *words, *fewer, "hydra.run.dir=run")
    assert result.code == 0, result.err
    metrics = figures(toys / "run")
    directions = [f"test/{a}_to_{b}/mrr" for a in NAMES for b in NAMES if a != b]
    assert metrics["test/mrr"] == pytest.approx(sum(metrics[name] for name in directions) / 6)
    assert "Retrieval from each modality to each other" in (toys / "run/report.md").read_text()
    assert lab("evaluate", "run").code == 0
    result = lab("predict", "run", "--input", "rows.csv", "--output", "vectors.jsonl")
    assert result.code == 0, result.err
    row = json.loads((toys / "vectors.jsonl").read_text().splitlines()[0])
    assert all(sum(x * x for x in row[f"{name}_embedding"]) == pytest.approx(1, abs=1e-4) for name in NAMES)

    manifest(toys / "other", rows=6)
    leave_nothing_but(toys, "run", "other")
    result = lab("predict", "away/run", "--input", "other/[01].wav", "--output", "sounds.jsonl")
    assert result.code == 0, result.err
    lines = list(map(json.loads, (toys / "sounds.jsonl").read_text().splitlines()))
    assert [one["wav"] for one in lines] == ["0.wav", "1.wav"] and not any(one["problem"] for one in lines)
    assert all(one["picture_embedding"] == [] != one["sound_embedding"] for one in lines)
    result = lab("evaluate", "away/run", "data.source={test: other/rows.csv}")
    assert result.code == 0, result.err


def test_each_modality_is_left_out_of_retrieval(toys: Path, lab: Callable[..., Result]) -> None:
    words = ("task=cross_modal", "baseline=cross_modal", "data.problem=modalities", "data.columns.label=null")
    fewer = (
        "data.columns.amounts=null",
        "data.columns.places=null",
        "trainer.max_epochs=1",
        "mode.report=false",
    )
    result = lab("+experiment=toys", "+ablate=modalities", *words, *fewer, "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    assert "[4/4] data.inputs=[sound,words]" in result.out
    assert "picture_to_words/mrr" in result.out and "lost without it" in result.out
    kept = np.load(next((toys / "sweep").glob("*/test_rows.npz")))
    assert {"picture_to_words/mrr", "words_to_picture/recall_at_1"} & {*kept.files}
    assert "picture to words, without sound" in (toys / "sweep/sweep.html").read_text()


def test_a_number_is_learned_from_all_inputs_together(toys: Path, lab: Callable[..., Result]) -> None:
    words = ("task=text_regression", "data.problem=regression", "data.columns.label=weight")
    fewer = ("data.columns.amounts=null", "model/fusion=concat", "mode.report=false")
    result = lab("+experiment=toys", *words, *fewer, "hydra.run.dir=run")
    assert result.code == 0, result.err
    metrics = figures(toys / "run")
    assert metrics["test/pearson"] > 0.8 and metrics["test/mae"] < metrics["baseline/majority/mae"]
    result = lab("predict", "run", "--input", "rows.csv", "--output", "said.csv")
    assert result.code == 0, result.err
    said = [float(row["value"]) for row in csv.DictReader((toys / "said.csv").open())]
    assert len(said) == 60 and max(said[::2]) < min(said[1::2])  # red things weigh less


def test_over_fits_32_rows(toys: Path, lab: Callable[..., Result]) -> None:
    table = list(csv.DictReader((toys / "rows.csv").open()))
    for number, row in enumerate(table[:32]):
        row["colour"] = ("one", "two", "three")[
            (number * 7) % 3
        ]  # nothing but the rows themselves tells them
    with (toys / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table[:32])
    words = ("data.split.val=0", "data.split.test=0", "trainer.max_epochs=50", "mode.report=false")
    still = ("model.dropout=0", "model.text.dropout=0", "scheduler=constant", "optimizer.lr=5e-3")
    result = lab("+experiment=toys", *words, *still, "hydra.run.dir=run")
    assert result.code == 0, result.err
    assert figures(toys / "run")["train/loss"] < 0.1


def test_every_subset_of_inputs_is_run_once_and_compared(toys: Path, lab: Callable[..., Result]) -> None:
    fewer = [f"data.columns.{name}=null" for name in ("sound", "amounts", "places")]
    words = (
        "+experiment=toys",
        "+ablate=modalities",
        *fewer,
        "trainer.max_epochs=1",
        "hydra.sweep.dir=sweep",
    )
    result = lab(*words)
    assert result.code == 0, result.err
    assert "[3/3] data.inputs=[words]" in result.out and "what each input contributes" in result.out
    assert "What each input contributes" in (toys / "sweep/sweep.html").read_text()
    again = lab(*words)
    assert again.code == 0 and "[1/3]" not in again.out
    result = lab("+experiment=toys", "+ablate=modalities", *fewer, "data.columns.words=null")
    assert result.code == 2 and "2 inputs or more are wanted, the data have 1" in result.err
