"""The forward pass of a lean GPT-2 block, and when it may be taken."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import GELUActivation, NewGELUActivation
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention, GPT2Block

from llm_lab.models.lean_block import Block, Settings
from llm_lab.models.lean_layer import additive, compute_type, is_changed, is_common

GELU = {NewGELUActivation: "tanh", GELUActivation: "none"}  # module of transformers -> form of torch


def knows_block(block: Any) -> bool:
    """Whether a block has the structure that is computed here: no cross-attention, scaled scores, a known GELU."""
    if type(block) is not GPT2Block or type(block.attn) is not GPT2Attention:
        return False
    attention = block.attn
    return (
        type(block.mlp.act) in GELU
        and not hasattr(block, "crossattention")
        and attention.config._attn_implementation in ("sdpa", "eager")  # noqa: SLF001 - transformers has no other name for it
        and attention.scaling == attention.head_dim**-0.5
    )


def block_forward(
    block: Any,
    hidden_states: Tensor,
    past_key_values: Any = None,
    attention_mask: Tensor | None = None,
    encoder_hidden_states: Tensor | None = None,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    """`forward` of a lean block: states [B, T, W]; a cache of keys and values takes the plain path."""
    foreign = encoder_hidden_states is not None or past_key_values is not None
    if foreign or not _takes(block, hidden_states, attention_mask):
        rest = (past_key_values, attention_mask, encoder_hidden_states, *args)
        plain: Tensor = type(block).forward(block, hidden_states, *rest, **kwargs)
        return plain
    bias = None if attention_mask is None else additive(attention_mask)
    if block.gradient_checkpointing and block.training:
        again = block._gradient_checkpointing_func  # noqa: SLF001 - as the forward does that this one replaces
        return again(partial(_compute, block), hidden_states, bias)
    return _compute(block, hidden_states, bias)


def _compute(block: Any, states: Tensor, bias: Tensor | None) -> Tensor:
    gelu = GELU[type(block.mlp.act)]
    settings = Settings(block.attn.num_heads, block.ln_1.eps, gelu, compute_type(states))
    parameters = [tensor for part in _dense(block) for tensor in (part.weight, part.bias)]
    return Block.apply(settings, states, bias, *parameters)  # type: ignore[no-untyped-call]


def _takes(block: Any, states: Tensor, mask: Tensor | None) -> bool:
    """Whether this call is one that the lean forward computes."""
    if type(states) is not Tensor or states.device.type != "cpu":
        return False
    traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if torch.compiler.is_compiling() or traced or not knows_block(block):
        return False
    attention, mlp = block.attn, block.mlp
    dropouts = (attention.attn_dropout, attention.resid_dropout, mlp.dropout)
    inner = (*_dense(block), *dropouts, attention, mlp, mlp.act)
    if any(is_changed(part, type(block).__module__) for part in inner):
        return False
    if block.ln_1.eps != block.ln_2.eps or any(part.training and part.p for part in dropouts):
        return False
    return mask is None or (is_common(mask) and _is_causal(mask, states.shape[1]))


def _is_causal(mask: Tensor, length: int) -> bool:
    """Whether a square mask lets no token see a later one."""
    if mask.shape[2:] != (length, length):
        return False
    later = torch.ones(length, length, dtype=torch.bool).triu_(1)
    seen = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    return not bool((seen & later).any())


def _dense(block: Any) -> tuple[nn.Module, ...]:
    """The parts with parameters in the order in which they compute."""
    attention, mlp = block.attn, block.mlp
    return block.ln_1, attention.c_attn, attention.c_proj, block.ln_2, mlp.c_fc, mlp.c_proj
