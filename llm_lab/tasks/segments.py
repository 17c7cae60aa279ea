"""Token types for the models that tell a first text from a second, and for no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from llm_lab.data.arrow import TYPES


def knows_types(config: Any) -> bool:
    """Whether a model embeds the tokens of a second text otherwise (BERT does, RoBERTa and GPT-2 do not)."""
    return int(getattr(config, "type_vocab_size", 0) or 0) > 1


def without_foreign_types(inputs: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """The inputs, without ``token_type_ids`` where the model, in whatever wrappers, does not know them."""
    if TYPES not in inputs:
        return dict(inputs)
    config = next(part.config for part in model.modules() if hasattr(part, "config"))
    return {name: value for name, value in inputs.items() if name != TYPES or knows_types(config)}


def input_names(config: Any) -> list[str]:
    """What the tokenizer beside a saved model is to give, so that whoever uses the two gives the model all it knows."""
    return ["input_ids", *([TYPES] if knows_types(config) else []), "attention_mask"]
