"""Towers and fusions work over any subset of modalities, and a saved model is the same model."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from llm_lab.config import build
from llm_lab.config.compose import compose
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.audio.spectrogram import Spectrogram
from llm_lab.models.fusion.model import fused
from llm_lab.models.tower import Tower
from tests.models.tiny import CONF, tokenizer_folder

INPUTS: dict[str, Any] = {
    "picture": {"kind": "image", "size": [16, 16], "channels": 3, "optional": True},
    "sound": {"kind": "audio", "features": "log_mel", "mels": 8, "rate": 8000, "optional": False},
    "words": {"kind": "text", "columns": ["words"], "optional": False},
    "amounts": {"kind": "number", "columns": ["a", "b"], "optional": False},
    "places": {"kind": "category", "columns": ["c"], "values": [["x", "y"]], "optional": True},
}
SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
TEXT = {"_target_": "llm_lab.models.text_tower.Text", "architecture": "bert", "sizes": SMALL}
IMAGE = {"_target_": "llm_lab.models.image.cnn.Cnn", "widths": [4, 8]}
AUDIO = {"_target_": "llm_lab.models.audio.cnn.Cnn", "widths": [4, 8], "width": 8}
FUSIONS = sorted(path.stem for path in (CONF / "model/fusion").glob("*.yaml"))
SUBSETS = [names for size in (1, 2, 5) for names in combinations(INPUTS, size)]


def spec_of(*names: str) -> DataSpec:
    return DataSpec(
        problem="single_label", labels=("no", "maybe", "yes"), sizes={"train": 4}, class_counts=(1, 1, 2),
        inputs={name: INPUTS[name] for name in names}, tokenizer=tokenizer_folder(), max_length=5, fingerprint="0",
    )  # fmt: skip


def batch_of(*names: str, rows: int = 4) -> dict[str, Tensor]:
    torch.manual_seed(0)
    mask = torch.ones(rows, 6, dtype=torch.long)
    mask[0, 4:] = 0
    tensors = {
        "picture": torch.randn(rows, 3, 16, 16), "picture_present": torch.tensor([True, False, True, True]),
        "sound": torch.randn(rows, 6, 8), "sound_mask": mask,
        "words": torch.randint(0, 20, (rows, 6)), "words_mask": mask,
        "amounts": torch.randn(rows, 4), "places": torch.randint(0, 3, (rows, 1)),
        "places_present": torch.ones(rows, dtype=torch.bool),
    }  # fmt: skip
    return {name: value for name, value in tensors.items() if name.partition("_")[0] in names}


def make(*names: str, fusion: str = "concat", **options: Any) -> Any:
    node = OmegaConf.to_container(OmegaConf.load(CONF / f"model/fusion/{fusion}.yaml"))
    return fused(spec=spec_of(*names), text=TEXT, image=IMAGE, audio=AUDIO, fusion=node, width=8, **options)


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_fusion_takes_any_subset_and_trains_every_part(fusion: str, names: tuple[str, ...]) -> None:
    model = make(*names, fusion=fusion)
    logits = model(**batch_of(*names)).logits
    assert logits.shape == (4, 3)
    logits.square().sum().backward()
    idle = [name for name, one in model.named_parameters() if one.requires_grad and one.grad is None]
    assert idle == []


def test_padding_and_what_is_missing_do_not_count() -> None:
    names = ("picture", "sound", "words")
    for fusion in FUSIONS:
        model = make(*names, fusion=fusion).eval()
        batch = batch_of(*names)
        before = model(**batch).logits
        batch["picture"][1] = 9.0
        batch["words"][0, 4:] = 7
        assert torch.allclose(model(**batch).logits, before, atol=1e-5), fusion
        batch["picture"][0] = 9.0
        assert not torch.allclose(model(**batch).logits[0], before[0], atol=1e-5), fusion


def test_modality_dropout_leaves_every_row_something() -> None:
    names = ("picture", "sound", "words")
    model = make(*names, modality_dropout=0.9).train()
    batch = batch_of(*names)
    found = [torch.stack(list(model._present(batch).values()), dim=1) for _ in range(30)]
    seen = torch.stack(found)
    assert seen.any(dim=2).all()
    assert not seen[:, 1, 0].any()  # what a row lacks it never gets back
    assert 0 < seen.float().mean() < 0.8
    assert model.eval()._present(batch)["sound"].all()


@pytest.mark.parametrize("path", sorted((CONF / "model/image").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_picture_tower_from_scratch_gives_tokens_and_is_saved(path: Path) -> None:
    node = OmegaConf.to_container(OmegaConf.load(path))
    if node.get("source"):
        pytest.skip("needs a source")
    column = {"size": [16, 16], "channels": 1}
    tower = build(node, expected=Tower, key="model.image", column=column).eval()
    tokens = tower(torch.randn(2, 1, 16, 16))
    assert tokens.states.shape[::2] == (2, tower.width) and tokens.mask.shape == tokens.states.shape[:2]
    again = build(tower.saved(), expected=Tower, key="model.image", column=column).eval()
    again.load_state_dict(tower.state_dict())


AUDIOS = sorted((CONF / "model/audio").glob("*.yaml"))


@pytest.mark.parametrize("path", AUDIOS, ids=lambda path: path.stem)
def test_every_sound_tower_does_not_hear_the_padding_and_is_saved(path: Path) -> None:
    chosen = compose(["model=multimodal", f"model/audio={path.stem}", "model.wrappers=null"]).config.model
    node = OmegaConf.to_container(chosen.audio)
    if node.get("source"):
        pytest.skip("needs a source")
    features = "waveform" if path.stem == "wave" else "log_mel"
    column = {"mels": 8, "features": features, "max_seconds": 1, "hop": 0.01}
    tower = build(node, expected=Tower, key="model.audio", column=column).eval()
    shape = (1, 50) if path.stem == "wave" else (1, 50, 8)
    sound = torch.randn(shape)
    padded = torch.cat([sound, torch.full((1, 37, *shape[2:]), 5.0)], dim=1)
    mask = torch.cat([torch.ones(1, 50), torch.zeros(1, 37)], dim=1).long()
    alone, beside = tower(sound, mask[:, :50]), tower(padded, mask)
    count = int(alone.mask.sum())
    assert count == int(beside.mask.sum()) > 0
    assert torch.allclose(alone.states[:, :count], beside.states[:, :count], atol=1e-4)
    again = build(tower.saved(), expected=Tower, key="model.audio", column=column).eval()
    again.load_state_dict(tower.state_dict())


def test_a_model_of_speech_reads_samples() -> None:
    sizes = {**SMALL, "conv_dim": [8, 8], "conv_kernel": [10, 4], "conv_stride": [5, 4], "num_feat_extract_layers": 2,
             "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}  # fmt: skip
    node = {"_target_": "llm_lab.models.audio.speech.Speech", "architecture": "wav2vec2", "sizes": sizes}
    column = {"features": "waveform"}
    tower = build(node, expected=Tower, key="model.audio", column=column)
    mask = torch.ones(2, 400, dtype=torch.long)
    mask[0, 200:] = 0
    tokens = tower(torch.randn(2, 400), mask)
    tokens.pooled().sum().backward()
    assert tokens.mask.sum(1).tolist()[0] < tokens.mask.shape[1] == tokens.states.shape[1]
    assert [name for name, one in tower.named_parameters() if one.requires_grad and one.grad is None] == []
    build(tower.saved(), expected=Tower, key="model.audio", column=column).load_state_dict(tower.state_dict())
    with pytest.raises(ConfigError, match="set features: waveform"):
        build(node, expected=Tower, key="model.audio", column={"features": "log_mel"})


@pytest.mark.parametrize("kind", ["whisper", "audio-spectrogram-transformer"])
def test_a_model_of_spectrograms_is_had_from_a_folder(kind: str, tmp_path: Path) -> None:
    heads = {
        "whisper": {"d_model": 8, "encoder_layers": 1, "decoder_layers": 0, "encoder_attention_heads": 2}
    }
    ast = {**SMALL, "patch_size": 4, "frequency_stride": 4, "time_stride": 4, "max_length": 40}
    length = {"max_source_positions": 20} if kind == "whisper" else {}
    config = AutoConfig.for_model(kind, num_mel_bins=8, **heads.get(kind, ast), **length)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    node = {"_target_": "llm_lab.models.audio.hub.hub", "source": str(tmp_path), "freeze": True}
    column = {"mels": 8, "features": "log_mel"}
    tower = build(node, expected=Tower, key="model.audio", column=column)
    assert isinstance(tower, Spectrogram) and tower.frames == 40
    tokens = tower(torch.randn(2, 64, 8))  # what is longer than the model is cut off
    assert tokens.states.shape[::2] == (2, 8) and not any(one.requires_grad for one in tower.parameters())
    with pytest.raises(ConfigError, match="spectrograms of 8 bands, the data give log_mel of 16"):
        build(node, expected=Tower, key="model.audio", column={"mels": 16, "features": "log_mel"})


def test_a_saved_model_is_the_same_model(tmp_path: Path) -> None:
    model = make(*INPUTS, fusion="transformer").eval()
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    batch = batch_of(*INPUTS)
    assert torch.allclose(again(**batch).logits, model(**batch).logits, atol=1e-6)
    assert again.config.id2label == {0: "no", 1: "maybe", 2: "yes"}


def test_a_frozen_tower_stays_as_it_is() -> None:
    model = make("picture", "words", towers={"picture": {**IMAGE, "freeze": True}}).train()
    assert not model.towers["picture"].training and model.towers["words"].training
    assert not any(one.requires_grad for one in model.towers["picture"].parameters())


def test_a_kind_without_a_tower_is_told() -> None:
    with pytest.raises(
        ConfigError, match="`picture` is of this kind and has no tower; take one by `model/image=`"
    ):
        fused(spec=spec_of("picture"), fusion={"_target_": "llm_lab.models.fusion.late.Concatenation"})


def test_the_speaker_encoder_hears_where_a_clip_ends() -> None:
    node = {"_target_": "llm_lab.models.audio.speaker.Speaker"}
    column = {"features": "mel", "mels": 40}
    tower = build(node, expected=Tower, key="model.audio", column=column).eval()
    sound = torch.rand(1, 9, 40)
    padded = torch.cat([sound, torch.rand(1, 5, 40)], dim=1)
    mask = torch.cat([torch.ones(1, 9), torch.zeros(1, 5)], dim=1).long()
    assert torch.allclose(tower(padded, mask).states, tower(sound).states, atol=1e-6)
    with pytest.raises(ConfigError, match="features: mel, mels: 40"):
        build(node, expected=Tower, key="model.audio", column={"features": "log_mel", "mels": 40})
