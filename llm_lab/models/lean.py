"""The same arithmetic, cheaper on a processor: a wrapper for encoders of the BERT family and for GPT-2."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from types import MethodType
from typing import Any

from torch import nn

from llm_lab.models.lean_decoder import block_forward, knows_block
from llm_lab.models.lean_dropout import dropout_forward
from llm_lab.models.lean_embedding import embedding_forward
from llm_lab.models.lean_layer import FIRST_TOKEN_ONLY, family_of, knows_layer, layer_forward
from llm_lab.models.lean_memory import keep_freed_memory
from llm_lab.models.wrapper import Wrapper

log = logging.getLogger(__name__)

Forward = Callable[..., Any]
SIMPLE: dict[type[nn.Module], Forward] = {nn.Dropout: dropout_forward, nn.Embedding: embedding_forward}


class Lean(Wrapper):
    """Replaces forward passes, never parameters: names, ``state_dict`` and ``save_pretrained`` stay.

    Encoder layers of BERT, RoBERTa, XLM-RoBERTa, CamemBERT and ELECTRA get hand-written passes for the
    processor: fused projections, one cast each, dropout from cheap bits. Where a classifier reads the first
    token only, the last layer computes that token only. Dropout and large embedding tables become cheaper in
    every model. Whatever a lean pass does not know (another device, adapters, hooks inside a layer, sharded
    parameters, compilation) takes the plain path, call by call.

    Args:
        first_token: let the last layer compute the first token alone where the model's head reads no other.
    """

    writes_weights = False

    def __init__(self, *, first_token: bool = True) -> None:
        self.first_token = first_token

    def __call__(self, module: nn.Module) -> nn.Module:
        """Make the module lean in place, and let the process keep the memory that its steps free."""
        keep_freed_memory()
        known = [part for part in module.modules() if knows_layer(part) or knows_block(part)]
        if not known:
            log.info(
                "%s: no layers that Lean knows, only its dropout and its embeddings get cheaper",
                type(module).__name__,
            )
        for part in module.modules():
            forward = self._lean_forward(part)
            if forward is not None and "forward" not in part.__dict__:
                part.forward = MethodType(forward, part)
        return module

    def _lean_forward(self, part: nn.Module) -> Forward | None:
        if type(part) in SIMPLE:
            return SIMPLE[type(part)]
        if knows_layer(part):
            return layer_forward
        if knows_block(part):
            return block_forward
        if self.first_token and family_of(part, "ForSequenceClassification"):
            return _classifiers.setdefault(type(part), _classifier_forward(type(part)))
        return None

    def merge(self, module: nn.Module) -> nn.Module:
        """Give the module its own forward passes back."""
        for part in module.modules():
            override = getattr(part.__dict__.get("forward"), "__func__", None)
            if override in (*SIMPLE.values(), layer_forward, block_forward, *_classifiers.values()):
                del part.forward
        return module


_classifiers: dict[type[nn.Module], Forward] = {}


def _classifier_forward(kind: Any) -> Forward:
    """`forward` of a classifier that reads the first token: the last layer need not compute the others."""

    @wraps(kind.forward)  # libraries look at the signature
    def forward(model: Any, *args: Any, **kwargs: Any) -> Any:
        last = model.base_model.encoder.layer[-1]
        if not _may_skip(model, last, kwargs):
            return kind.forward(model, *args, **kwargs)
        setattr(last, FIRST_TOKEN_ONLY, True)
        try:
            return kind.forward(model, *args, **kwargs)
        finally:
            delattr(last, FIRST_TOKEN_ONLY)

    return forward


def _may_skip(model: Any, last: Any, kwargs: dict[str, Any]) -> bool:
    """Whether nobody sees the other tokens: not asked for, no hooks on the way."""
    names = ("output_hidden_states", "output_attentions")
    asked = any(kwargs.get(name, getattr(model.config, name, False)) for name in names)
    way = (model.base_model, model.base_model.encoder, last)
    watched = any(part._forward_hooks or part._forward_pre_hooks or part._backward_hooks for part in way)  # noqa: SLF001
    return not asked and not watched and knows_layer(last)
