"""What changes a model from outside: adapters, embeddings of another kind, faster parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.distributed.fsdp import FSDPModule


class Wrapper(ABC):
    """Takes a module and gives a module; an entry of ``model.wrappers``, applied by ``order``.

    A wrapper says which parameters train by setting ``requires_grad``. It keeps no tensors of its own: what
    it adds lives in the module, so that checkpoints and sharding see it.

    Attributes:
        writes_weights: whether `merge` computes new values of weights, and so needs whole tensors of its own to
            write into.
    """

    writes_weights = True

    @abstractmethod
    def __call__(self, module: nn.Module) -> nn.Module:
        """Wrap the module; may change it in place."""

    def merge(self, module: nn.Module) -> nn.Module:
        """Undo the wrapping and keep what was learned; by default the module stays as it is."""
        return module


def outline(module: nn.Module) -> nn.Module:
    """The same tree of modules once more over the same tensors: it may be taken apart, and costs no memory.

    A class that FSDP2 has put in front of a module's own is left away.
    """
    kind: Any = next(cls for cls in type(module).__mro__ if not issubclass(cls, FSDPModule))
    twin: nn.Module = nn.Module.__new__(kind)
    twin.__dict__ = dict(module.__dict__)
    for name in ("_parameters", "_buffers"):
        twin.__dict__[name] = dict(module.__dict__[name])
    children = module._modules.items()  # noqa: SLF001 - named_children leaves out what is shared or None
    twin.__dict__["_modules"] = {name: None if child is None else outline(child) for name, child in children}
    return twin


def apply(wrappers: Sequence[Wrapper], module: nn.Module) -> nn.Module:
    """The module in its wrappers, the first one innermost."""
    for wrapper in wrappers:
        module = wrapper(module)
    return module


def merge(wrappers: Sequence[Wrapper], module: nn.Module) -> nn.Module:
    """The module out of its wrappers, the last one first."""
    for wrapper in reversed(wrappers):
        module = wrapper.merge(module)
    return module
