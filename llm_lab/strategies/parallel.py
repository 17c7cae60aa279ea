"""How a model lies over processes: what every strategy has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.strategies import Strategy
from torch import nn
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh
from torch.optim import Optimizer

from llm_lab.strategies.checkpointing import checkpoint_activations
from llm_lab.strategies.stream import Entry, own_tensors


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
        if self.activation_checkpointing:
            checkpoint_activations(model)
        return model

    def data_group(self, mesh: DeviceMesh | None) -> ProcessGroup | None:
        """The ranks over which metrics are summed: those with rows of their own; None for all."""
        return None

    def clip(
        self, task: LightningModule, optimizer: Optimizer, *, value: float | None, algorithm: str | None
    ) -> None:
        """Clip the gradients by their norm (or each by its value)."""
        task.clip_gradients(optimizer, gradient_clip_val=value, gradient_clip_algorithm=algorithm)

    @property
    def shards(self) -> bool:
        """Whether the model lies in parts over the ranks, so that its weights must be gathered."""
        return False

    def entries(self, model: nn.Module) -> list[Entry]:
        """The whole tensors of a model, each fetched by all ranks where the model lies in parts."""
        return [
            Entry(name, tensor.shape, tensor.dtype, tensor.detach) for name, _, tensor in own_tensors(model)
        ]

    def facts(self) -> dict[str, Any]:
        """Figures of the run that only the strategy knows, for ``metrics.json``: bytes sent per step, say."""
        return {}


def replica(trainer: Trainer) -> tuple[int, int]:
    """Which share of the rows a rank gets, and of how many: (0, 1) in one process.

    Ranks that compute parts of the same layers (tensor parallelism) get the same rows.
    """
    share = trainer.distributed_sampler_kwargs
    return (int(share["rank"]), int(share["num_replicas"])) if share else (0, 1)
