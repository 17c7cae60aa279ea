"""Where the parts of a model lie: which parameter belongs to which layer of its stack."""

from __future__ import annotations

from torch import nn


def layer_stack(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Dotted name and modules of the encoder (or decoder) stack: the ModuleList with the most parameters.

    A model without one gives an empty name and an empty list.
    """
    stacks = [
        (name, part) for name, part in model.named_modules() if isinstance(part, nn.ModuleList) and name
    ]
    return max(stacks, key=lambda item: _count(item[1]), default=("", nn.ModuleList()))


def parameter_depths(model: nn.Module) -> dict[str, int]:
    """Depth of each parameter by name: 0 for the embeddings, 1 to L for the layers, L + 1 for what follows.

    What is defined before the stack counts as embeddings, what is defined after it as the head: transformers'
    models define their parts in the order in which they compute.
    """
    stack, layers = layer_stack(model)
    depths: dict[str, int] = {}
    after = 0 if len(layers) else 1
    for name, _ in model.named_parameters():
        if stack and name.startswith(f"{stack}."):
            depths[name] = 1 + int(name.removeprefix(f"{stack}.").split(".")[0])
            after = len(layers) + 1
        else:
            depths[name] = after
    return depths


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
