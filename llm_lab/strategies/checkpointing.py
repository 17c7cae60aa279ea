"""Activation checkpointing: compute activations again in the backward pass instead of keeping them."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from llm_lab.errors import ConfigError


def checkpoint_activations(model: nn.Module) -> None:
    """Keep only the inputs of each layer of a transformer (Chen et al. 2016, https://arxiv.org/abs/1604.06174).

    Activations of L layers take the memory of one, for a third more arithmetic: a second forward pass. The
    switch is transformers' own, in the layers: names of parameters stay, hooks of sharded layers run outside the
    part that is repeated, and the generator's state is put back for it, so that dropout falls the same.

    Raises:
        ConfigError: there is no transformer in the model, or one that cannot do it.
    """
    found = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    able = [part for part in found if part.supports_gradient_checkpointing]
    if not able:
        names = ", ".join(type(part).__name__ for part in found) or type(model).__name__
        raise ConfigError(
            f"strategy.activation_checkpointing: {names} has no layers that can be checkpointed; set it to false"
        )
    first = able[0]  # outermost: it switches the layers of all models inside
    switch = getattr(first, "activation_checkpointing_enable", first.gradient_checkpointing_enable)
    switch({"use_reentrant": False})
