"""Whisper whole hears and writes as its own class does, behind the tokens of its prompt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer, WhisperForConditionalGeneration

from llm_lab.data.multimodal.audio import Audio
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.audio.whole import WhisperForSpeechSeq2Seq, whisper
from llm_lab.models.heads import Head
from tests.models.tiny import tiny_whisper

SOUND = {**Audio(features="whisper", mels=16).facts(), "columns": ["file"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder."""
    return tiny_whisper(tmp_path / "tiny")


def spec(folder: Path, **inputs: Any) -> DataSpec:
    return DataSpec(
        problem="transcript", labels=(), sizes={}, tokenizer=folder, max_length=8, fingerprint="0",
        inputs=inputs or {"sound": SOUND}, summary={"longest_target": 4},
    )  # fmt: skip


def made(folder: Path, **options: Any) -> WhisperForSpeechSeq2Seq:
    return cast(
        "WhisperForSpeechSeq2Seq", whisper(spec=spec(folder), source=str(folder), prompt=["[UNK]"], **options)
    ).eval()


def sounds() -> dict[str, Tensor]:
    values = torch.randn(2, 60, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 60, dtype=torch.int64)
    mask[1, 30:] = 0
    return {"sound": values, "sound_mask": mask}


def test_logits_are_whispers_own_behind_the_prompt(folder: Path) -> None:
    model, theirs = made(folder), WhisperForConditionalGeneration.from_pretrained(folder).eval()
    start = torch.tensor([model.config.start])
    assert start.tolist() == [
        [theirs.config.decoder_start_token_id, AutoTokenizer.from_pretrained(folder).unk_token_id]
    ]
    heard = torch.full((1, 200, 16), float(sounds()["sound"][0].min()))
    heard[:, :60] = sounds()["sound"][:1]
    tokens = torch.tensor([[7, 8, 9]])
    wanted = theirs(
        input_features=heard.transpose(1, 2), decoder_input_ids=torch.cat([start, tokens], dim=1)
    ).logits
    found = model(decoder_input_ids=torch.tensor([[1, 7, 8, 9]]), **sounds_of(0)).logits
    assert torch.allclose(found, wanted[:, 1:], atol=1e-5)


def sounds_of(row: int) -> dict[str, Tensor]:
    return {name: value[row : row + 1] for name, value in sounds().items()}


@pytest.mark.parametrize("beams", [1, 2])
def test_padding_does_not_change_what_is_written_nor_does_saving(
    folder: Path, tmp_path: Path, beams: int
) -> None:
    model = made(folder)
    written = model.generate(num_beams=beams, **sounds())
    assert written.shape[1] <= 8
    short = {name: value[:, :30] for name, value in sounds_of(1).items()}
    alone = model.generate(num_beams=beams, **short)[0]
    assert torch.equal(written[1, : len(alone)], alone)
    model.save_pretrained(tmp_path / "saved")
    again = Head.SPEECH_TO_TEXT.auto_class.from_pretrained(tmp_path / "saved").eval()
    assert torch.equal(again.generate(num_beams=beams, **sounds()), written)


def test_every_part_trains(folder: Path) -> None:
    model = made(folder).train()
    model(decoder_input_ids=torch.tensor([[1, 7], [1, 8]]), **sounds()).logits.logsumexp(-1).sum().backward()
    assert [name for name, one in model.named_parameters() if one.requires_grad and one.grad is None] == []


def test_what_whisper_cannot_do_is_told(folder: Path) -> None:
    with pytest.raises(ConfigError, match="task=speech_to_text"):
        whisper(spec=spec(folder), source=str(folder), head=Head.CTC)
    for inputs in ({"sound": {**SOUND, "features": "log_mel"}}, {"one": SOUND, "other": SOUND}):
        with pytest.raises(ConfigError, match="a single input of `kind: audio, features: whisper.*mels: 16`"):
            whisper(spec=spec(folder, **inputs), source=str(folder))
    with pytest.raises(ConfigError, match=re.escape("no token `<|en|>`")):
        whisper(spec=spec(folder), source=str(folder), prompt=["<|en|>"])
