"""FSDP2, tensor parallelism, and both on a mesh of two dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from typing_extensions import override

from llm_lab.errors import ConfigError
from llm_lab.models.structure import layer_stack
from llm_lab.strategies import folder
from llm_lab.strategies.dtensor import gathered, gradient_norm, local, locals_of, restore_optimizer
from llm_lab.strategies.parallel import Parallel
from llm_lab.strategies.plans import tensor_parallel as cut
from llm_lab.strategies.stream import Entry

OF_THE_RANK = ("state_dict", "optimizer_states")
EPSILON = 1e-6  # beside the norm when clipping, as torch has it


class Sharded(Parallel):
    """Parameters, gradients and optimizer state in parts over the ranks, as DTensors.

    With ``data_parallel`` ranks each layer is sharded by FSDP2 (`torch.distributed.fsdp.fully_shard`; ZeRO stage 3,
    Rajbhandari et al. 2020, https://arxiv.org/abs/1910.02054) and gathered when it computes. With
    ``tensor_parallel`` ranks each layer computes in parts (Megatron, https://arxiv.org/abs/1909.08053); these
    ranks work on the same rows. The numbers multiply to the number of ranks. Mixed precision is autocast's, as
    in one process: weights and sums of gradients stay in single precision.

    Args:
        data_parallel: ranks that share out rows and shards; null for all that are left.
        tensor_parallel: ranks that share out each layer; null for all that are left.
        reshard_after_forward: free a layer's gathered weights until the backward pass; false saves the second
            gathering for the memory of the whole model (ZeRO stage 2).
        activation_checkpointing: see `Parallel`.
    """

    def __init__(
        self,
        *,
        data_parallel: int | None = None,
        tensor_parallel: int | None = 1,
        reshard_after_forward: bool = True,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__(activation_checkpointing=activation_checkpointing)
        self.data_parallel, self.tensor_parallel = data_parallel, tensor_parallel
        self.reshard_after_forward = reshard_after_forward

    def engine(self) -> ShardedEngine:
        """Lightning's engine for DTensors, with checkpoints of ours."""
        return ShardedEngine(data=self.data_parallel, tensor=self.tensor_parallel)

    @property
    def shards(self) -> bool:
        """Always."""
        return True

    def lay_out(self, model: nn.Module, mesh: DeviceMesh | None) -> nn.Module:
        """Cut the layers over the tensor-parallel ranks, then shard them over the data-parallel ones."""
        model = super().lay_out(model, mesh)
        if mesh is None:
            return model
        _same_everywhere(model, torch.device(mesh.device_type))
        if mesh["tensor_parallel"].size() > 1:
            cut(model, mesh["tensor_parallel"])
        if mesh["data_parallel"].size() > 1:
            settings: Any = {
                "mesh": mesh["data_parallel"],
                "reshard_after_forward": self.reshard_after_forward,
            }
            for layer in layer_stack(model)[1]:
                fully_shard(layer, **settings)
            fully_shard(model, **settings)
            if hasattr(model, "generate"):
                register_fsdp_forward_method(model, "generate")  # gathers weights for writing too
        return model

    def data_group(self, mesh: DeviceMesh | None) -> ProcessGroup | None:
        """The data-parallel ranks with the same part of each layer."""
        return None if mesh is None else mesh["data_parallel"].get_group()

    def clip(
        self, task: LightningModule, optimizer: Optimizer, *, value: float | None, algorithm: str | None
    ) -> None:
        """Clip by the norm over all shards; torch's own function takes tensors of one mesh only."""
        found = (parameter.grad for group in optimizer.param_groups for parameter in group["params"])
        gradients = [gradient for gradient in found if gradient is not None]
        if not value or not gradients:
            return
        parts = [one.to_local() if isinstance(one, DTensor) else one for one in gradients]
        if algorithm == "value":
            for one in parts:
                one.clamp_(-value, value)
            return
        scale = torch.clamp(value / (gradient_norm(gradients) + EPSILON), max=1.0)
        torch._foreach_mul_(parts, scale)

    def entries(self, model: nn.Module) -> list[Entry]:
        """See `llm_lab.strategies.dtensor.gathered`."""
        return gathered(model)


class ShardedEngine(ModelParallelStrategy):
    """Each rank writes its own parts into a folder; what all ranks know alike is written once.

    torch's distributed checkpoints describe themselves in a pickle; these are tensors and primitives.
    """

    def __init__(self, *, data: int | None, tensor: int | None) -> None:
        super().__init__()
        self.data, self.tensor = data, tensor

    def setup_environment(self) -> None:
        """Turn what is left open into sizes of the mesh.

        Raises:
            ConfigError: the sizes do not multiply to the number of ranks.
        """
        ranks = self.num_nodes * self.num_processes
        tensor = self.tensor or ranks // (self.data or 1) or 1
        data = self.data or ranks // tensor
        if data * tensor != ranks:
            raise ConfigError(
                f"strategy: data_parallel {self.data or 'null'} x tensor_parallel {self.tensor or 'null'} does "
                f"not make the {ranks} ranks of trainer.devices and trainer.num_nodes"
            )
        self._data_parallel_size, self._tensor_parallel_size = data, tensor
        super().setup_environment()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The parts of the weights that this rank holds."""
        return {name: local(value) for name, value in self._module().state_dict().items()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The parts of the optimizer's state that this rank holds."""
        plain = optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        return dict(locals_of(plain.state_dict()))

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a folder; all ranks call this."""
        del storage_options
        own = {name: checkpoint.pop(name) for name in OF_THE_RANK if name in checkpoint}
        with folder.written(Path(self.broadcast(str(filepath))), self.global_rank) as temporary:
            folder.store(own, folder.part(temporary, self.global_rank))
            if self.is_global_zero:
                folder.store(checkpoint, temporary / folder.COMMON)

    @override
    def load_checkpoint(
        self, checkpoint_path: str | Path, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a folder that as many ranks wrote."""
        del weights_only
        path = Path(self.broadcast(str(checkpoint_path)))
        return folder.load(path / folder.COMMON) | folder.load_part(path, self.global_rank, self.world_size)

    @override
    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Copy this rank's parts into the model."""
        stored = checkpoint["state_dict"]
        with torch.no_grad():
            for name, value in self._module().state_dict().items():
                if strict or name in stored:
                    target = value.to_local() if isinstance(value, DTensor) else value
                    target.copy_(stored[name])

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Lightning hands the state over in `load_optimizer_state_dict`."""
        return True

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Give each optimizer this rank's parts of its state."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            restore_optimizer(optimizer, state)

    def _module(self) -> nn.Module:
        if self.lightning_module is None:
            raise RuntimeError("the engine has no model yet")
        return self.lightning_module


def _same_everywhere(model: nn.Module, device: torch.device) -> None:
    """Give all ranks the weights of the first: each has drawn its own, from the same seed if all went well."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            values = tensor.to(device)
            dist.broadcast(values, src=0)
            tensor.copy_(values)
