"""Which parameters of a model stay as they are."""

from __future__ import annotations

from typing import Literal

from torch import nn

from llm_lab.errors import ConfigError
from llm_lab.models.structure import layer_stack, parameter_depths

Freeze = Literal["embeddings", "backbone"] | int | bool | None


def freeze_parameters(model: nn.Module, what: Freeze) -> None:
    """Stop the gradient of a part of the model, in place.

    Args:
        model: any model with one stack of layers.
        what: ``embeddings``; a number n, for the embeddings and the first n layers; ``backbone``, for all but
            the head; ``true`` for everything; None or ``false`` for nothing.

    Raises:
        ConfigError: the model has fewer layers than are to be frozen.
    """
    if what is None or what is False:
        return
    if what is True:
        model.requires_grad_(requires_grad=False)
        return
    layers = len(layer_stack(model)[1])
    limit = {"embeddings": 0, "backbone": layers}.get(what) if isinstance(what, str) else what
    if limit is None or not 0 <= limit <= layers:
        raise ConfigError(
            f"model.freeze: {what!r} is not `embeddings`, `backbone` or a number of layers from 0 to {layers}"
        )
    depths = parameter_depths(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and (depths[name] > limit))
