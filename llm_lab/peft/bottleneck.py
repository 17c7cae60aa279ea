"""Bottleneck adapters, which the library has not: two small layers behind those that write to the residual stream."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any, Literal

from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from transformers.pytorch_utils import Conv1D

from llm_lab.errors import ConfigError
from llm_lab.models.wrapper import Wrapper
from llm_lab.peft.head import backbones, head_of

WRITERS = re.compile(r"\.(output\.dense|c_proj|o_proj|out_proj|down_proj|fc2|lin2|Wo|o|wo)$")
ATTENTION = re.compile(r"att(n|ention)", re.IGNORECASE)
CHILD = "adapter"


class Bottleneck(nn.Module):
    """``x + up(gelu(down(x)))``, at first the identity."""

    def __init__(self, *, width: int, size: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, size), nn.Linear(size, width)
        nn.init.normal_(self.down.weight, std=0.02)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, states: Tensor) -> Tensor:
        """States [..., width] to states of the same shape."""
        return states + self.up(F.gelu(self.down(states)))


class Adapters(Wrapper):
    """Puts a `Bottleneck` behind linear layers, as their child: names of the model's parameters stay.

    They cannot be merged: the artifact keeps them beside the model. Sources: Houlsby et al. 2019,
    https://arxiv.org/abs/1902.00751; Pfeiffer et al. 2021, https://arxiv.org/abs/2005.00247.

    Args:
        size: width of the bottleneck.
        placement: ``houlsby`` behind attention and feed-forward, ``pfeiffer`` behind the latter alone.
        lr: learning rate that suits the method; nothing reads it but ``optimizer.lr: ${peft.lr}``.
    """

    writes_weights = False

    def __init__(
        self,
        *,
        size: int = 16,
        placement: Literal["houlsby", "pfeiffer"] = "pfeiffer",
        lr: float | None = None,
    ) -> None:
        del lr
        if size < 1:
            raise ConfigError(f"size: at least 1 is wanted, found {size}")
        self.size, self.placement = size, placement

    def __call__(self, module: nn.Module) -> nn.Module:
        """Insert the adapters in place and freeze all but them and the head.

        Raises:
            ConfigError: no layer of the model has a known name.
        """
        places = {name: part for name, part in _places(module) if self._wants(name)}
        if not places:
            raise ConfigError(
                f"peft: {type(module).__name__} has no layer where an adapter is known to belong"
            )
        refuse_adapted(module)
        head = head_of(module)
        for parameter in module.parameters():
            parameter.requires_grad_(id(parameter) in head)
        for part in places.values():
            insert(part, self.size)
        return module

    def _wants(self, name: str) -> bool:
        return self.placement == "houlsby" or not ATTENTION.search(name)


def insert(layer: Any, size: int) -> None:
    """Give a linear layer an adapter."""
    width = layer.nf if isinstance(layer, Conv1D) else layer.out_features
    layer.add_module(CHILD, Bottleneck(width=width, size=size))
    layer.register_forward_hook(_adapt)


def adapters_of(model: nn.Module) -> dict[str, Bottleneck]:
    """The adapters of a model by the names of their layers."""
    found = {name: part for name, part in model.named_modules() if isinstance(part, Bottleneck)}
    return {name.removesuffix(f".{CHILD}"): part for name, part in found.items()}


def is_adapted(model: nn.Module) -> bool:
    """Whether there is something in the model that merging leaves."""
    return isinstance(model, PeftModel) or bool(adapters_of(model))


def refuse_adapted(model: nn.Module) -> None:
    """Stop before a second adapter is put on a model that came with one.

    Raises:
        ConfigError: it says how to go on with the first one, and how to go without it.
    """
    if is_adapted(model):
        raise ConfigError(
            "peft: model.source comes with an adapter that cannot be merged; go on with it by peft=null, or leave "
            "it behind by taking the model/base of that run as model.source"
        )


def remove(model: nn.Module) -> None:
    """Take the adapters out, in place."""
    for name in adapters_of(model):
        layer = model.get_submodule(name)
        kept = [(key, hook) for key, hook in layer._forward_hooks.items() if hook is not _adapt]  # noqa: SLF001
        layer._forward_hooks = OrderedDict(kept)  # noqa: SLF001 - a new one: an outline shares it with its model
        delattr(layer, CHILD)


def _places(model: nn.Module) -> list[tuple[str, nn.Module]]:
    inner = {id(part) for backbone in backbones(model) for part in backbone.modules()}
    known = [
        (name, part) for name, part in model.named_modules() if WRITERS.search(name) and id(part) in inner
    ]
    return [(name, part) for name, part in known if isinstance(part, nn.Linear | Conv1D)]


def _adapt(layer: Any, _: Any, output: Tensor) -> Tensor:
    adapted: Tensor = layer.adapter(output)
    return adapted
