"""Vectors of texts, as the library sentence-transformers makes them, and the files by which it knows how."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.models.pooled import pool

SentencePooling = Literal["mean", "cls", "max"]
MODULES = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
FLAGS = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens"}


def embed(
    model: Any, input_ids: Tensor, attention_mask: Tensor, *, pooling: SentencePooling, normalize: bool
) -> Tensor:
    """Vectors [N, H] in single precision, of length one where ``normalize`` says so, from tokens [N, T]."""
    states = model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state.float()
    vectors = pool(states, attention_mask[:, -states.shape[1] :], pooling)
    return F.normalize(vectors, dim=-1) if normalize else vectors


@torch.inference_mode()
def embed_texts(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    pooling: SentencePooling,
    normalize: bool,
    max_length: int,
    batch_size: int = 32,
) -> Tensor:
    """Vectors [N, H] of texts in their order; those of about the same length go through the model together."""
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    vectors = torch.empty(len(texts), model.config.hidden_size)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        inputs = tokenizer(
            [texts[number] for number in chosen],
            padding=True,
            truncation=True,
            max_length=max_length,
            return_tensors="pt",
        )
        tokens, mask = inputs["input_ids"], inputs["attention_mask"]
        vectors[chosen] = embed(model, tokens, mask, pooling=pooling, normalize=normalize)
    return vectors


def write_sentence_files(
    folder: Path, *, width: int, max_length: int, pooling: SentencePooling, normalize: bool
) -> None:
    """Write beside a model what makes ``SentenceTransformer(folder)`` give the same vectors."""
    parts = [path for path in MODULES if normalize or path != "2_Normalize"]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{MODULES[path]}"}
        for i, path in enumerate(parts)
    ]
    flags = {f"pooling_mode_{flag}": name == pooling for name, flag in FLAGS.items()}
    for path in parts[1:]:
        (folder / path).mkdir(exist_ok=True)
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **flags})


def read_sentence_files(folder: Path) -> tuple[SentencePooling, bool]:
    """Pooling, and whether vectors are normalized, as a folder says."""
    flags = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    pooling: Any = next(name for name, flag in FLAGS.items() if flags[f"pooling_mode_{flag}"])
    return pooling, any(module["type"].endswith(".Normalize") for module in modules)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
