"""A GGUF file is a Hugging Face folder after one conversion, whoever asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter
from transformers import AutoModelForCausalLM, AutoTokenizer

from llm_lab import assets
from llm_lab.assets import gguf
from llm_lab.data.tokenizers import Pretrained
from llm_lab.errors import AssetError
from llm_lab.models.folder import model_folder

WIDTH, INNER = 8, 16
TOKENS = ["<end>", *"abcdefg", "ab"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Llama of one layer over nine tokens, and a cache of its own."""
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    path = tmp_path / "tiny.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(32)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(WIDTH // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, *[1] * 8])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    shapes = {"token_embd": (len(TOKENS), WIDTH), "output_norm": (WIDTH,), "blk.0.attn_norm": (WIDTH,),
              "blk.0.ffn_norm": (WIDTH,), "blk.0.ffn_gate": (INNER, WIDTH), "blk.0.ffn_up": (INNER, WIDTH),
              "blk.0.ffn_down": (WIDTH, INNER), **{f"blk.0.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v")},
              "blk.0.attn_output": (WIDTH, WIDTH)}  # fmt: skip
    random = np.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_file_is_a_model_folder_made_once(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_folder(f"file://{file}")
    assert (folder / "model.safetensors").is_file()
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.hidden_size == WIDTH and model.config.num_hidden_layers == 1
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_tokens_to_ids(["a", "ab"]) == [1, 8] and tokenizer.eos_token == "<end>"

    def never(*_: Any) -> Path:
        raise AssertionError

    monkeypatch.setattr(gguf, "_convert", never)
    copy = tmp_path / "elsewhere.gguf"
    copy.write_bytes(file.read_bytes())
    assert model_folder(str(copy)) == folder == assets.saved_in(file)
    Pretrained(source=f"file://{file}").save(tmp_path / "tokenizer", lambda: iter(()))
    assert (tmp_path / "tokenizer/tokenizer.json").is_file()


def test_what_breaks_off_leaves_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = gguf._convert

    def killed(path: Path, folder: Path) -> Path:
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(gguf, "_convert", killed)
    with pytest.raises(KeyboardInterrupt):
        model_folder(str(file))
    monkeypatch.setattr(gguf, "_convert", right)
    assert (model_folder(str(file)) / "model.safetensors").is_file()


def test_a_broken_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF nothing")
    with pytest.raises(AssetError, match="broken.gguf: transformers cannot read this GGUF file"):
        model_folder(str(path))
