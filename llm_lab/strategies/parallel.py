"""How a model lies over processes: what every strategy has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from pytorch_lightning.strategies import Strategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh


class Parallel(ABC):
    """A choice of `strategy=`: Lightning's engine, and what is done to a model before the engine gets it.

    Args:
        activation_checkpointing: compute the activations of each layer again in the backward pass instead of
            keeping them (Chen et al. 2016, https://arxiv.org/abs/1604.06174).
    """

    def __init__(self, *, activation_checkpointing: bool = False) -> None:
        self.activation_checkpointing = activation_checkpointing

    @abstractmethod
    def engine(self) -> str | Strategy:
        """What Lightning's Trainer gets as its strategy."""

    def lay_out(self, model: nn.Module, mesh: DeviceMesh | None) -> nn.Module:
        """Lay a model with its wrappers over the processes.

        Args:
            model: the whole model; may be changed in place.
            mesh: the strategy's device mesh, None where the engine makes none.
        """
        return model

    def facts(self) -> dict[str, Any]:
        """Figures of the run that only the strategy knows, for ``metrics.json``: bytes sent per step, say."""
        return {}
