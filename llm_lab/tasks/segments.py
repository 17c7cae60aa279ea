"""Token types for the models that tell a first text from a second, and for no others."""

from __future__ import annotations

from typing import Any

from llm_lab.data.arrow import TYPES


def without_foreign_types(inputs: dict[str, Any], config: Any) -> dict[str, Any]:
    """The inputs without ``token_type_ids`` where the model has no embedding for a second text (RoBERTa, GPT-2)."""
    if getattr(config, "type_vocab_size", 0) > 1:
        return inputs
    return {name: value for name, value in inputs.items() if name != TYPES}
