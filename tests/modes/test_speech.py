"""Sequences of tones are written as words: trained, saved, evaluated on another set, and asked about files."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Result
from tests.models.tiny import tiny_whisper
from tests.multimodal import leave_nothing_but, tone

PITCHES = {0: 250.0, 1: 700.0, 2: 1900.0}
DATA = r"""# Toy sequences of tones, for tests.
defaults: [multimodal]
problem: transcript
source:
  train:
    uri: file://../../tones
    pattern: '(?P<note>\d)_\d\.wav'
    joined: {rows: 160, count: [1, 3], sounds: file, texts: note, seed: 1}
  val:
    uri: file://../../tones
    pattern: '(?P<note>\d)_\d\.wav'
    joined: {rows: 12, count: [1, 3], sounds: file, texts: note, seed: 2}
  test:
    uri: file://../../other
    pattern: '(?P<note>\d)_\d\.wav'
    joined: {rows: 20, count: [1, 3], sounds: file, texts: note, seed: 3}
format: files
leaks: keep
columns:
  sound: {kind: audio, columns: file, rate: 8000, mels: 16, max_seconds: 4}
  label: note
labels: {low: 0, mid: 1, high: 2}
frames_per_character: 2
tokenizer: {_target_: llm_lab.data.tokenizers.Trained, kind: character, vocab_size: 40, template: eos, whitespace: true}
batch_size: 8
"""
EXPERIMENT = """# @package _global_
# A toy of speech.
defaults:
  - override /data: toy_tones
  - override /model: multimodal
  - override /model/audio: conformer
  - override /task: speech_recognition
  - override /baseline: transcripts
  - override /logger: none
model: {width: 32, dropout: 0.0, audio: {width: 32, layers: 1, halvings: 1, dropout: 0.0}}
optimizer: {lr: 5.0e-3}
trainer: {max_epochs: 20, enable_progress_bar: false, precision: 32-true}
callbacks: {early_stopping: null}
"""


@pytest.fixture
def tones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with recordings of three tones, and an experiment over sequences of them."""
    for folder in ("tones", "other"):
        (tmp_path / folder).mkdir()
        rng = np.random.default_rng(len(folder))
        for number in range(18):
            path = tmp_path / folder / f"{number % 3}_{number % 6}.wav"
            tone(path, PITCHES[number % 3], 0.25 + 0.1 * rng.random(), rng)
    for name, text in (("data/toy_tones", DATA), ("experiment/tones", EXPERIMENT)):
        path = tmp_path / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def figures(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def test_the_whole_way(tones: Path, lab: Callable[..., Result]) -> None:
    result = lab("+experiment=tones", "hydra.run.dir=run")
    assert result.code == 0, result.err
    metrics = figures(tones / "run")
    assert metrics["test/wer"] < 0.3 < metrics["baseline/common_words/wer"]
    assert 0 <= metrics["test/cer"] <= 1 and "baseline/nearest_row/wer" in metrics
    rows = np.load(tones / "run/test_rows.npz")["wer"]
    assert rows[:, 0].sum() / rows[:, 1].sum() == pytest.approx(metrics["test/wer"], abs=1e-4)

    source = "data.source.test.joined.seed=9"
    assert lab("evaluate", "run", source).code == 0
    (evaluation,) = (tones / "run/evaluations").glob("*.json")
    assert json.loads(evaluation.read_text())["metrics"]["test/wer"] < 0.3

    said = [predicted(lab, tones, given) for given in ("other/2_2.wav", "other")]
    assert said[0] == ["high"]
    assert said[1] == [("low", "mid", "high")[number // 2] for number in range(6)]
    (tones / "other/list.csv").write_text("file\n0_0.wav\nnowhere.wav\n")
    assert predicted(lab, tones, "other/list.csv") == ["low", ""]
    assert predicted(lab, tones, "other/list.csv", "problem") == ["", "no such file: nowhere.wav"]

    leave_nothing_but(tones, "run", "other")
    shutil.move(tones / "away/run", tones / "run")
    assert predicted(lab, tones, "other/[02]_*.wav") == ["low", "low", "high", "high"]
    assert lab("predict", "run", "--input", "away").err.count("no file of the kind audio") == 1
    other = ("data.source.train=null", "data.source.val=null", "data.source.test.uri=other")
    result = lab("evaluate", "run", *other)
    assert result.code == 0, result.err


def predicted(lab: Callable[..., Result], folder: Path, given: str, column: str = "text") -> list[str]:
    result = lab("predict", "run", "--input", given, "--output", "said.csv")
    assert result.code == 0, result.err
    with (folder / "said.csv").open() as file:
        return [row[column] for row in csv.DictReader(file)]


def test_token_by_token(tones: Path, lab: Callable[..., Result]) -> None:
    result = lab("+experiment=tones", "task=speech_to_text", "task.beams=2", "hydra.run.dir=run")
    assert result.code == 0, result.err
    metrics = figures(tones / "run")
    assert metrics["test/wer"] < metrics["baseline/common_words/wer"]
    assert metrics["run/train_flops"] > 0
    assert lab("evaluate", "run", "task.beams=1").code == 0
    assert len(predicted(lab, tones, "other")) == 6


WHOLE = """# @package _global_
# A toy of Whisper.
defaults:
  - override /data: toy_tones
  - override /model: whisper
  - override /task: speech_to_text
  - override /baseline: transcripts
  - override /logger: none
data:
  tokenizer: ${model.tokenizer}
  frames_per_character: null
  columns: {sound: {features: whisper, rate: 16000, mels: 16}}
model: {source: file://../../tiny, prompt: ["[UNK]"]}
trainer: {enable_progress_bar: false, precision: 32-true}
"""


def test_whisper_is_tuned_whole(tones: Path, lab: Callable[..., Result]) -> None:
    tiny_whisper(tones / "tiny")
    (tones / "conf/experiment/whole.yaml").write_text(WHOLE)
    result = lab("+experiment=whole", "+debug=smoke", "hydra.run.dir=run")
    assert result.code == 0, result.err
    loss = figures(tones / "run")["test/loss"]
    result = lab("evaluate", "run", "task.beams=2")
    assert result.code == 0, result.err
    (evaluation,) = (tones / "run/evaluations").glob("*.json")
    assert json.loads(evaluation.read_text())["metrics"]["test/loss"] == pytest.approx(loss, abs=1e-4)
    leave_nothing_but(tones, "run", "other")
    shutil.move(tones / "away/run", tones / "run")
    assert len(predicted(lab, tones, "other")) == 6 and predicted(lab, tones, "other", "problem") == [""] * 6


def test_a_text_that_its_sound_has_no_room_for_is_rejected(tones: Path, lab: Callable[..., Result]) -> None:
    tone(tones / "tones/2_9.wav", 1900.0, 0.03, np.random.default_rng(0))
    words = (
        "+debug=smoke",
        "data.source.train.joined.count=[1,1]",
        "data.source.train.joined.rows=300",
        "data.max_rejected=0.5",
    )
    result = lab("+experiment=tones", *words, "hydra.run.dir=run")
    assert result.code == 0, result.err
    entry = json.loads((tones / "run/rejected.jsonl").read_text().splitlines()[0])
    assert entry["reason"] == "text too long for its sound" and entry["file"] == "2_9.wav"
    assert entry["detail"].startswith("4 characters, 0 of them doubled")


def test_data_without_texts_are_told_which_task_suits(tones: Path, lab: Callable[..., Result]) -> None:
    result = lab("check", "+experiment=tones", "task=sequence_classification")
    assert result.code == 2 and "task=speech_recognition" in result.err
