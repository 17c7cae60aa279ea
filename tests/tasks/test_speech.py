"""Texts of sounds: losses weigh every token the same, padding does not count, what is impossible is told."""

from __future__ import annotations

import functools
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812
from transformers import AutoModelForCTC, AutoModelForSpeechSeq2Seq, AutoTokenizer

from llm_lab.config import build
from llm_lab.data.multimodal.transcripts import encode, target_batch
from llm_lab.data.spec import DataSpec
from llm_lab.data.tokenizers import Trained
from llm_lab.errors import ConfigError, DataError
from llm_lab.tasks.speech_recognition import written
from llm_lab.tasks.task import Task
from tests.models.tiny import part, task_nodes
from tests.tasks.test_gradients import cuts, gradient

TEXTS = ["two", "one two", "three", "o", "eight", "nine"]
SOUND = {"kind": "audio", "features": "log_mel", "mels": 8, "optional": False}
METRICS = {
    name: {"_target_": f"torchmetrics.text.{kind}"}
    for name, kind in (("wer", "WordErrorRate"), ("cer", "CharErrorRate"))
}
TASKS = ("speech_recognition.SpeechRecognition", "speech_to_text.SpeechToText")


@functools.cache
def characters() -> Path:
    """A saved tokenizer of the characters of the texts."""
    folder = Path(tempfile.mkdtemp(prefix="characters-"))
    tokenizer = Trained(kind="character", vocab_size=60, template="eos", whitespace=True)
    tokenizer.save(folder, lambda: iter(TEXTS))
    return folder


def spec_of(**inputs: Any) -> DataSpec:
    return DataSpec(
        problem="transcript", labels=(), sizes={"train": len(TEXTS)}, inputs=inputs or {"sound": SOUND},
        tokenizer=characters(), max_length=16, fingerprint="0", summary={"longest_target": 8},
    )  # fmt: skip


def make(task: str, **model: Any) -> Task:
    torch.manual_seed(0)
    audio = {"_target_": "llm_lab.models.audio.conformer.Conformer", "width": 8, "layers": 1, "heads": 2}
    node = {
        "_target_": "llm_lab.models.fusion.model.fused", "width": 8, "dropout": 0.0, "wrappers": {},
        "audio": {**audio, "dropout": 0.0, "halvings": 1, "kernel": 3},
        "decoder": {"layers": 1, "heads": 2, "dropout": 0.0, "positions": 32},
    }  # fmt: skip
    nodes = task_nodes(model={**node, **model})
    made = build(
        {"_target_": f"llm_lab.tasks.{task}", "metrics": METRICS},
        expected=Task,
        key="task",
        spec=spec_of(),
        **nodes,
    )
    made.configure_model()
    return made


def batch_of(*, frames: int = 40, more: int = 0, scored: bool = False) -> dict[str, torch.Tensor]:
    """A row per text, of different lengths; ``more`` frames of padding behind the longest."""
    chance = torch.Generator().manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(characters())
    tokens = [np.array(encode(text, tokenizer)) for text in TEXTS]
    lengths = torch.tensor([frames - 2 * number for number in range(len(TEXTS))])
    sound = torch.randn(len(TEXTS), frames, 8, generator=chance)
    sound = torch.cat([sound, torch.full((len(TEXTS), more, 8), 7.0)], dim=1)
    return {
        "sound": sound, "sound_mask": (torch.arange(frames + more) < lengths[:, None]).long(),
        "index": torch.arange(len(TEXTS)), "step_targets": torch.tensor(float(sum(map(len, tokens)))),
        **target_batch(tokens, TEXTS if scored else None),
    }  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=6, deadline=None)
@given(bounds=cuts(len(TEXTS)), replicas=st.integers(1, 2))
def test_gradient_does_not_depend_on_the_cut(name: str, bounds: list[int], replicas: int) -> None:
    task, batch = make(name), batch_of()
    whole = gradient(task, [batch], accumulate=1)
    pieces = [part(batch, slice(*pair)) for pair in pairwise(bounds)]
    assert whole.abs().max() > 1e-3
    assert torch.allclose(whole, gradient(task, pieces, accumulate=len(pieces), replicas=replicas), atol=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_padding_does_not_count(name: str) -> None:
    task = make(name)
    alone, padded = batch_of(), batch_of(more=23)
    assert torch.allclose(task.losses(task(alone), alone), task.losses(task(padded), padded), atol=1e-4)
    first, second = (gradient(task, [batch], accumulate=1) for batch in (alone, padded))
    assert torch.allclose(first, second, atol=1e-5)
    task.eval()
    with torch.no_grad():
        assert task.texts(task(alone), alone) == task.texts(task(padded), padded)


def test_the_loss_of_ctc_is_the_librarys_over_the_frames_that_are_there() -> None:
    task, batch = make(TASKS[0]), batch_of(more=9)
    logits = task(batch)
    counts = (batch["labels"] != -100).sum(1)
    moments = (batch["sound_mask"].sum(1) + 1) // 2
    wanted = F.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1), batch["labels"].clamp(min=0), moments, counts - 1,
        blank=task.none, reduction="sum",
    )  # fmt: skip
    assert torch.allclose(task.losses(logits, batch).sum(), wanted, rtol=1e-4)


def test_a_text_that_is_certain_costs_nothing_and_is_not_refused() -> None:
    task, batch = make(TASKS[0]).eval(), batch_of()
    labels = batch["labels"][:1, :2]  # one symbol, and what stands for its end
    logits = 100.0 * F.one_hot(labels[:, :1], len(task.tokenizer)).float()
    assert task.losses(logits, {**batch, "labels": labels}).tolist() == [0.0, 0.0]


def test_a_text_without_room_is_left_out_in_training_and_told_in_evaluation() -> None:
    task, batch = make(TASKS[0]), batch_of(frames=16, more=30)  # the last row has three moments
    losses = task.train().losses(task(batch), batch)
    assert losses.isfinite().all() and (losses == 0).any()
    assert gradient(task, [batch], accumulate=1).isfinite().all()
    with pytest.raises(DataError, match=r"row \d: \d symbols are more.*data.frames_per_character"):
        task.eval().losses(task(batch), batch)


def test_greedy_decoding_takes_repeated_symbols_once() -> None:
    tokenizer = AutoTokenizer.from_pretrained(characters())
    path = [*tokenizer("tt", add_special_tokens=False)["input_ids"], 0, *encode("two", tokenizer)[:-1], 0]
    logits = F.one_hot(torch.tensor([path]), len(tokenizer)).float()
    assert written(logits, tokenizer, none=0, beams=1) == ["ttwo"]


def test_beam_search_adds_up_all_ways_to_say_a_text() -> None:
    tokenizer = AutoTokenizer.from_pretrained(characters())
    o = encode("o", tokenizer)[0]
    chances = torch.full((1, 2, len(tokenizer)), 1e-6)
    chances[..., 0], chances[..., o] = 0.6, 0.4  # "o" in three ways: 0.64, silence: 0.36
    assert [written(chances.log(), tokenizer, none=0, beams=beams) for beams in (1, 4)] == [[""], ["o"]]
    silent = torch.zeros(1, 3, len(tokenizer))
    silent[..., 0] = 30.0
    assert written(silent, tokenizer, none=0, beams=4) == [""]


@pytest.mark.parametrize(
    ("name", "auto"), zip(TASKS, (AutoModelForCTC, AutoModelForSpeechSeq2Seq), strict=True)
)
def test_it_learns_six_texts_by_heart_and_is_saved_whole(name: str, auto: Any, tmp_path: Path) -> None:
    task, batch = make(name, width=32), batch_of(scored=True)
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = task.losses(task(batch), batch).mean()
        loss.backward()
        optimizer.step()
    task.eval()
    with torch.no_grad():
        assert task.texts(task(batch), batch) == TEXTS
        task.beams = 4
        assert task.texts(task(batch), batch) == TEXTS
    task.save_artifact(tmp_path / "model")
    again = auto.from_pretrained(tmp_path / "model").eval()
    inputs = task.inputs(batch)
    with torch.no_grad():
        assert torch.allclose(again(**inputs).logits, task.network()(**inputs).logits, atol=1e-5)


def test_ctc_hears_one_sound() -> None:
    picture = {"kind": "image", "size": [8, 8], "channels": 1, "optional": False}
    nodes = task_nodes(
        model={
            "_target_": "llm_lab.models.fusion.model.fused", "width": 8, "wrappers": {},
            "image": {"_target_": "llm_lab.models.image.cnn.Cnn", "widths": [4]},
        }
    )  # fmt: skip
    spec = spec_of(picture=picture)
    task = build(
        {"_target_": f"llm_lab.tasks.{TASKS[0]}", "metrics": {}},
        expected=Task,
        key="task",
        spec=spec,
        **nodes,
    )
    with pytest.raises(ConfigError, match="CTC hears one sound, the data have image"):
        task.configure_model()
