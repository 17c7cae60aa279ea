"""Parameter groups: who decays, and how fast each layer learns."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from torch import nn

from llm_lab.errors import ConfigError
from llm_lab.models.structure import parameter_depths
from llm_lab.strategies.dtensor import layout

Parameter = nn.Parameter


def parameter_groups(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    where: Callable[[str, Parameter], bool] = lambda _name, _parameter: True,
) -> list[dict[str, Any]]:
    """Groups for a torch optimizer, one per learning rate, weight decay and layout that occurs.

    Vectors (biases and the gains of norms) do not decay. The head learns with ``lr``, each layer below it
    with ``layer_decay`` times the rate of the layer above, the embeddings slowest.
    Source: ULMFiT, https://arxiv.org/abs/1801.06146; ELECTRA, https://arxiv.org/abs/2003.10555.

    Args:
        model: its trainable parameters are grouped, frozen ones are left out.
        lr: learning rate of the head.
        weight_decay: of the matrices.
        layer_decay: factor per layer, above 0 and at most 1; 1 gives all layers the same rate.
        where: takes name and parameter; only those for which it is true are grouped.

    Raises:
        ConfigError: nothing trains, or the factor is out of range.
    """
    if not 0 < layer_decay <= 1:
        raise ConfigError(f"optimizer.layer_decay: {layer_decay} is not above 0 and at most 1")
    depths = parameter_depths(model)
    top = max(depths.values(), default=0)
    groups: dict[tuple[int, bool, Hashable], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad or not where(name, parameter):
            continue
        below, decays = (0 if layer_decay == 1 else top - depths[name]), parameter.ndim > 1
        key = (below, decays, layout(parameter))
        if key not in groups:
            groups[key] = {
                "params": [],
                "lr": lr * layer_decay**below,
                "weight_decay": weight_decay if decays else 0.0,
            }
        groups[key]["params"].append(parameter)
    return list(groups.values())


def all_groups(
    model: nn.Module, *, lr: float, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """`parameter_groups` of the whole model.

    Raises:
        ConfigError: all parameters are frozen.
    """
    groups = parameter_groups(model, lr=lr, weight_decay=weight_decay, layer_decay=layer_decay)
    if not groups:
        raise ConfigError("model.freeze: every parameter is frozen, so there is nothing to train")
    return groups
