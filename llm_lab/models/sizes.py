"""The configuration of an encoder that starts from random weights."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, AutoTokenizer

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError


def known_sizes(architecture: str, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes as a dict, after a check that the architecture has fields of these names.

    Raises:
        ConfigError: names the unknown word and the nearest known one; transformers would take it in silence.
    """
    _require("model.architecture", architecture, list(CONFIG_MAPPING.keys()))
    fields = list(AutoConfig.for_model(architecture).to_dict())
    for name in sizes:
        _require(f"model.sizes.{name}", name, fields)
    return dict(sizes)


def vocabulary(spec: DataSpec) -> dict[str, Any]:
    """Size of the tokenizer's vocabulary and the numbers of its special tokens, as configuration fields."""
    tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer)
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "cls", "sep")}
    end = special["sep_token_id"] if tokenizer.eos_token_id is None else tokenizer.eos_token_id
    ends = {"bos_token_id": special["cls_token_id"], "eos_token_id": end}
    start = {"decoder_start_token_id": special["pad_token_id"]}  # as T5 has it; others do not look at it
    return {"vocab_size": len(tokenizer)} | special | ends | start


def _require(key: str, name: str, known: list[str]) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise ConfigError(
            f"{key}: transformers knows no {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
