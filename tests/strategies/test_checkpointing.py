"""Activation checkpointing changes memory, not numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from llm_lab.config import build
from llm_lab.errors import ConfigError
from llm_lab.models.lean import Lean
from llm_lab.strategies.checkpointing import checkpoint_activations
from tests.models.tiny import tiny_batch, tiny_model, tiny_spec

SIZES = {"hidden_size": 16, "num_hidden_layers": 6, "num_attention_heads": 2, "intermediate_size": 64}
LLAMA = {**SIZES, "num_key_value_heads": 2, "max_position_embeddings": 32}
MODELS: dict[str, dict[str, Any]] = {
    "bert": {"architecture": "bert", "sizes": {**SIZES, "max_position_embeddings": 32}},
    "llama": {"architecture": "llama", "sizes": LLAMA},
}


def make(name: str, *, lean: bool) -> nn.Module:
    torch.manual_seed(0)
    node = tiny_model(**MODELS[name], dropout=0.2)
    model = build(node, expected=nn.Module, key="model", spec=tiny_spec())
    return (Lean()(model) if lean else model).train()


def step(model: nn.Module) -> tuple[dict[str, Tensor], int]:
    """Gradients of a step with dropout, and how many bytes the forward pass kept for the backward pass."""
    batch = tiny_batch(32)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(7)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(**inputs).loss
        size = sum(kept.values())  # checkpointed layers keep their own under hooks of their own
    loss.backward()
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}, size


@pytest.mark.parametrize(("name", "lean"), [("bert", False), ("bert", True), ("llama", False)])
def test_gradients_and_names_stay_and_memory_shrinks(name: str, *, lean: bool) -> None:
    plain, again = make(name, lean=lean), make(name, lean=lean)
    checkpoint_activations(again)
    assert again.state_dict().keys() == plain.state_dict().keys()
    expected, whole = step(plain)
    found, kept = step(again)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.allclose(found[key], value, rtol=1e-4, atol=1e-6), key
    assert max(float(value.abs().max()) for value in expected.values()) > 1e-3
    assert kept < whole / 2


def test_evaluation_is_not_checkpointed() -> None:
    model = make("bert", lean=True)
    checkpoint_activations(model)
    calls = []
    for layer in model.bert.encoder.layer:
        layer._gradient_checkpointing_func = lambda *_: calls.append(1)
    model.eval()
    batch = tiny_batch(4)
    with torch.no_grad():
        assert (
            model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
            .logits.isfinite()
            .all()
        )
    assert not calls


def test_a_model_without_layers_is_refused() -> None:
    with pytest.raises(ConfigError, match="activation_checkpointing: Linear has no layers"):
        checkpoint_activations(nn.Linear(2, 2))
