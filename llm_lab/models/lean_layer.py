"""The forward pass of a lean encoder layer of the BERT family, and when it may be taken."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import GELUActivation, NewGELUActivation
from transformers.pytorch_utils import Conv1D

from llm_lab.models.lean_attention import Attention, SelfAttention, first_token_attention
from llm_lab.models.lean_dropout import Rate, dropout_forward, representable
from llm_lab.models.lean_tail import Settings, Tail

FAMILIES = {
    "Bert": "bert",
    "Roberta": "roberta",
    "XLMRoberta": "xlm_roberta",
    "Camembert": "camembert",
    "Electra": "electra",
}
PARTS = (nn.Linear, Conv1D, nn.LayerNorm, nn.Dropout, nn.GELU, GELUActivation, NewGELUActivation)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
FIRST_TOKEN_ONLY = "_lean_first_token_only"  # noqa: S105 - no password


def family_of(part: nn.Module, role: str) -> str | None:
    """The family whose ``Layer`` or ``ForSequenceClassification`` (the role) the module is exactly."""
    for family, package in FAMILIES.items():
        if type(part).__name__ == family + role:
            module = import_module(f"transformers.models.{package}.modeling_{package}")
            return family if type(part) is getattr(module, family + role, None) else None
    return None


def knows_layer(layer: Any) -> bool:
    """Whether a layer has the structure that is computed here: post-norm, bidirectional, exact GELU."""
    family = family_of(layer, "Layer")
    if family is None:
        return False
    config = layer.attention.self.config
    act = layer.intermediate.intermediate_act_fn
    exact = type(act) is GELUActivation or (type(act) is nn.GELU and act.approximate == "none")
    names = (type(layer.attention).__name__, type(layer.attention.self).__name__, type(layer.output).__name__)
    return (
        exact
        and names == (f"{family}Attention", f"{family}SelfAttention", f"{family}Output")
        and config._attn_implementation in ("sdpa", "eager")  # noqa: SLF001 - transformers has no other name for it
        and not (config.is_decoder or config.add_cross_attention or config.chunk_size_feed_forward)
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
    )


def layer_forward(
    layer: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    encoder_hidden_states: Tensor | None = None,
    encoder_attention_mask: Tensor | None = None,
    past_key_values: Any = None,
    **kwargs: Any,
) -> Tensor:
    """`forward` of a lean layer: states [B, T, W], or [B, 1, W] where only the first token is asked for."""
    foreign = encoder_hidden_states is not None or past_key_values is not None
    if foreign or not _takes(layer, hidden_states, attention_mask):
        return type(layer).forward(
            layer,
            hidden_states,
            attention_mask,
            encoder_hidden_states,
            encoder_attention_mask,
            past_key_values,
            **kwargs,
        )
    bias = None if attention_mask is None else additive(attention_mask)
    compute = _first_token if getattr(layer, FIRST_TOKEN_ONLY, False) else _all_tokens
    if layer.gradient_checkpointing and layer.training:
        again = layer._gradient_checkpointing_func  # noqa: SLF001 - as the forward does that this one replaces
        return again(partial(compute, layer), hidden_states, bias)
    return compute(layer, hidden_states, bias)


def _takes(layer: Any, states: Tensor, mask: Tensor | None) -> bool:
    """Whether this call is one that the lean forward computes; everything else takes the plain path."""
    if type(states) is not Tensor or states.device.type != "cpu":
        return False
    traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if torch.compiler.is_compiling() or traced or not knows_layer(layer):
        return False
    home = type(layer).__module__
    if any(is_changed(part, home) for part in _inner(layer)):
        return False
    rates = (layer.attention.self.dropout.p, layer.attention.output.dropout.p, layer.output.dropout.p)
    return all(representable(rate) for rate in rates) and (mask is None or is_common(mask))


def _inner(layer: Any) -> tuple[Any, ...]:
    """The modules inside a layer, whose work is done without calling them."""
    attention, intermediate, last = layer.attention, layer.intermediate, layer.output
    projections, first = attention.self, attention.output
    return (
        *(attention, projections, projections.query, projections.key, projections.value, projections.dropout),
        *(first, first.dense, first.LayerNorm, first.dropout),
        *(intermediate, intermediate.dense, intermediate.intermediate_act_fn),
        *(last, last.dense, last.LayerNorm, last.dropout),
    )


def is_changed(part: Any, home: str) -> bool:
    """Whether someone replaced a module inside a layer (adapters, quantization, shards) or listens to it."""
    state = part.__dict__
    override = getattr(state.get("forward"), "__func__", state.get("forward"))
    parameters = state["_parameters"]
    return (
        not (type(part) in PARTS or type(part).__module__ == home)
        or any(type(parameter) is not nn.Parameter for parameter in parameters.values())
        or (override is not None and override is not dropout_forward)
        or any(state[hooks] for hooks in HOOKS)
    )


def is_common(mask: Tensor) -> bool:
    return mask.ndim == 4 and mask.shape[1] == 1 and (mask.dtype == torch.bool or mask.is_floating_point())  # noqa: PLR2004


def additive(mask: Tensor) -> Tensor:
    """Boolean (true: attend) or additive mask to an additive one in single precision."""
    if mask.dtype != torch.bool:
        return mask.float()
    return torch.zeros(mask.shape).masked_fill_(mask.logical_not(), torch.finfo(torch.float32).min)


def _all_tokens(layer: Any, states: Tensor, bias: Tensor | None) -> Tensor:
    attention, dtype = layer.attention.self, compute_type(states)
    settings = Attention(attention.num_attention_heads, _rate(attention.dropout, attention), dtype)
    context = SelfAttention.apply(settings, states, bias, *_parameters(*_projections(attention)))  # type: ignore[no-untyped-call]
    flat = states.reshape(-1, states.shape[-1])
    return _tail(layer, context.flatten(0, 1), flat, dtype).view(states.shape)


def _first_token(layer: Any, states: Tensor, bias: Tensor | None) -> Tensor:
    attention, dtype = layer.attention.self, compute_type(states)
    parameters = list(_parameters(*_projections(attention)))
    p = attention.dropout.p if attention.training else 0.0
    with torch.autocast("cpu", enabled=False):
        context = first_token_attention(
            states, bias, parameters, heads=attention.num_attention_heads, p=p
        ).to(dtype)
    return _tail(layer, context, states[:, 0], dtype).unsqueeze(1)


def _tail(layer: Any, context: Tensor, residual: Tensor, dtype: torch.dtype) -> Tensor:
    first, second = layer.attention.output, layer.output
    settings = Settings(
        rates=(_rate(first.dropout, first.dropout), _rate(second.dropout, second.dropout)),
        epsilons=(first.LayerNorm.eps, second.LayerNorm.eps),
        dtype=dtype,
    )
    parts = (first.dense, first.LayerNorm, layer.intermediate.dense, second.dense, second.LayerNorm)
    return Tail.apply(settings, context, residual, *_parameters(*parts))  # type: ignore[no-untyped-call]


def _projections(attention: Any) -> tuple[nn.Module, ...]:
    return attention.query, attention.key, attention.value


def _parameters(*parts: Any) -> Iterator[Tensor]:
    return chain.from_iterable((part.weight, part.bias) for part in parts)


def _rate(dropout: nn.Dropout, owner: nn.Module) -> Rate:
    """Dropout's rate if the module that applies it is in training."""
    return Rate(dropout.p if owner.training else 0.0)


def compute_type(states: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else states.dtype
