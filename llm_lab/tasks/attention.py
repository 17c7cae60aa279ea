"""Attention that stays within a document where a block holds several."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

COUNTS_FROM_PADDING = (
    "roberta",
    "xlm-roberta",
    "camembert",
)  # their positions begin behind the number of padding
LOCAL_LAYERS = ("modernbert",)


def same(queries: Tensor, keys: Tensor) -> Tensor:
    """Bool [B, 1, Q, K] from the documents of queries [B, Q] and keys [B, K]: true where both are of one."""
    return queries[:, None, :, None] == keys[:, None, None, :]


def within_documents(
    config: Any, *, segments: Tensor, position_ids: Tensor, causal: bool = False
) -> dict[str, Any]:
    """``attention_mask`` and ``position_ids`` for a model's forward pass.

    Masks are those of PyTorch's fused attention, true where there is attention; transformers hands masks of four
    dimensions through. Padding is a document like any other, so that no row of a mask is empty.

    Args:
        config: of the model.
        segments: int64 [B, T], number of the document of each token.
        position_ids: int64 [B, T], from 0 in each document.
        causal: whether a token sees those before it only.
    """
    mask = same(segments, segments)
    if causal:
        mask = mask.tril()
    if config.model_type in COUNTS_FROM_PADDING:
        position_ids = position_ids + config.pad_token_id + 1
    if config.model_type not in LOCAL_LAYERS:
        return {"attention_mask": typed(config, mask), "position_ids": position_ids}
    places = torch.arange(segments.shape[1], device=segments.device)
    near = (places[:, None] - places).abs() <= config.sliding_window
    masks = {"full_attention": mask, "sliding_attention": mask & near}
    by_layer = {name: typed(config, one) for name, one in masks.items()}
    return {"attention_mask": by_layer, "position_ids": position_ids}


def typed(config: Any, mask: Tensor) -> Tensor:
    """A boolean mask as the model's attention reads it: added to the scores where that is written out."""
    if config._attn_implementation != "eager":  # noqa: SLF001 - transformers has no other name for it
        return mask
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, torch.finfo(torch.float32).min)
