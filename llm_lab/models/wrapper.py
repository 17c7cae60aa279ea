"""What changes a model from outside: adapters, embeddings of another kind, faster parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import nn


class Wrapper(ABC):
    """Takes a module and gives a module; an entry of ``model.wrappers``, applied by ``order``.

    A wrapper says which parameters train by setting ``requires_grad``. It keeps no tensors of its own: what
    it adds lives in the module, so that checkpoints and sharding see it.
    """

    @abstractmethod
    def __call__(self, module: nn.Module) -> nn.Module:
        """Wrap the module; may change it in place."""

    def merge(self, module: nn.Module) -> nn.Module:
        """Undo the wrapping and keep what was learned; by default the module stays as it is."""
        return module


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
