"""A language model goes on from what towers see: padding does not count, saved it is the same, parts stay frozen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.fusion.model import fused
from llm_lab.models.heads import Head
from llm_lab.peft.layers import lora
from tests.models.fusion.test_fusion import AUDIO, IMAGE, TEXT, batch_of, spec_of

END = 3  # of the tiny tokenizer
NAMES = ("picture", "sound", "words")
SIZES = {
    "llama": {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
              "intermediate_size": 16, "max_position_embeddings": 64},
    "gpt2": {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 64},
}  # fmt: skip


@pytest.fixture
def spec() -> DataSpec:
    """Data of three inputs and a text of at most two words with its end."""
    return replace(
        spec_of(*NAMES), problem="transcript", labels=(), class_counts=(), summary={"longest_target": 3}
    )


def make(
    spec: DataSpec, architecture: str = "llama", *, freeze: Any = None, tied: bool = True, **options: Any
) -> Any:
    torch.manual_seed(0)
    language = {"_target_": "llm_lab.models.text.from_scratch", "architecture": architecture,
                "sizes": {**SIZES[architecture], "tie_word_embeddings": tied}, "freeze": freeze}  # fmt: skip
    parts = {"text": TEXT, "image": IMAGE, "audio": AUDIO, "language": language} | options
    return fused(spec=spec, head=Head.CAUSAL_LM, width=8, **parts)


def tokens() -> Tensor:
    known = torch.randint(4, 20, (4, 3), generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.full((4, 1), END), known], dim=1)


@pytest.mark.parametrize("architecture", SIZES)
def test_every_part_trains_and_what_is_padding_or_missing_does_not_count(
    spec: DataSpec, architecture: str
) -> None:
    model, batch = make(spec, architecture), batch_of(*NAMES)
    logits = model(tokens(), **batch).logits
    assert logits.shape == (4, 4, 20)
    logits.square().sum().backward()
    assert [name for name, one in model.named_parameters() if one.grad is None] == []

    model.eval()
    before, written = model(tokens(), **batch).logits, model.generate(**batch)
    batch["picture"][1] = 9.0
    batch["words"][0, 4:] = 7
    longer = {"sound": torch.cat([batch["sound"], torch.full((4, 8, 8), 3.0)], dim=1),
              "sound_mask": torch.nn.functional.pad(batch["sound_mask"], (0, 8))}  # fmt: skip
    assert torch.allclose(model(tokens(), **batch).logits, before, atol=1e-5)
    assert torch.allclose(model(tokens(), **{**batch, **longer}).logits, before, atol=1e-5)
    assert torch.equal(model.generate(**{**batch, **longer}), written)


def test_generation_takes_the_likeliest_token_after_token(spec: DataSpec) -> None:
    model, batch = make(spec, tied=False).eval(), batch_of(*NAMES)
    written = model.generate(**batch)
    assert 1 < written.shape[1] <= 6
    before = torch.cat([torch.full((4, 1), END), written[:, :-1]], dim=1)
    likeliest = model(before, **batch).logits.argmax(dim=2)
    ended = (written == END).cumsum(dim=1) - (written == END).long() > 0
    assert torch.equal(likeliest[~ended], written[~ended])
    for row in range(4):
        found = model.generate(**{name: value[row : row + 1] for name, value in batch.items()})[0]
        assert torch.equal(found, written[row, : len(found)])


@pytest.mark.parametrize("architecture", SIZES)
def test_a_saved_model_writes_the_same(spec: DataSpec, architecture: str, tmp_path: Path) -> None:
    model, batch = make(spec, architecture).eval(), batch_of(*NAMES)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert torch.allclose(again(tokens(), **batch).logits, model(tokens(), **batch).logits, atol=1e-6)
    assert torch.equal(again.generate(num_beams=2, **batch), model.generate(num_beams=2, **batch))


def test_parts_stay_as_they_are_where_the_config_says_so(spec: DataSpec) -> None:
    model = make(spec, freeze=True, image={**IMAGE, "freeze": True})
    still = {name.split(".")[0] for name, one in model.named_parameters() if not one.requires_grad}
    moving = {name.split(".")[0] for name, one in model.named_parameters() if one.requires_grad}
    assert still == {"language", "towers"} and {"projector", "project", "towers"} <= moving
    assert not any(one.requires_grad for one in model.towers["picture"].parameters())


def test_an_adapter_lies_in_a_pretrained_language_model_and_all_else_trains(
    spec: DataSpec, tmp_path: Path
) -> None:
    scratch = make(spec)
    with pytest.raises(ConfigError, match="nothing came with weights"):
        lora(r=2)(scratch)
    scratch.language.save_pretrained(tmp_path)
    language = {"_target_": "llm_lab.models.text.pretrained", "source": str(tmp_path)}
    model = make(spec, language=language, image={**IMAGE, "freeze": True}).eval()
    batch = batch_of(*NAMES)
    before = model(tokens(), **batch).logits
    wrapper = lora(r=2)
    model = wrapper(model)
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    inside = {name for name in trained if name.startswith("language.")}
    assert inside and all("lora_" in name for name in inside)
    assert {"towers", "projector"} <= {name.split(".")[0] for name in trained - inside}
    assert not any(name.startswith("towers.picture.") for name in trained)
    model = wrapper.merge(model)
    assert torch.allclose(model(tokens(), **batch).logits, before, atol=1e-6)


def test_what_cannot_write_is_told(spec: DataSpec) -> None:
    with pytest.raises(ConfigError, match="model/language="):
        fused(spec=spec, head=Head.CAUSAL_LM, text=TEXT, image=IMAGE, audio=AUDIO)
    with pytest.raises(ConfigError, match="more than it reads"):
        make(spec)(torch.ones(4, 60, dtype=torch.long), **batch_of(*NAMES))
