"""Shards as plain tensors and back, and sums over tensors that lie over different meshes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import ProcessGroup
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from torch.utils._pytree import tree_map

from llm_lab.strategies.stream import Entry, own_tensors
from llm_lab.strategies.styles import FUSED, features_axis, reorder


def local(value: Any) -> Any:
    """The part that this rank holds of a DTensor on the CPU; anything else as it is."""
    if isinstance(value, DTensor):
        value = value.to_local()
    return value.detach().cpu() if isinstance(value, Tensor) else value


def locals_of(tree: Any) -> Any:
    """The same nested containers with this rank's parts in them."""
    return tree_map(local, tree)


def like(value: Tensor, parameter: Tensor) -> Tensor:
    """A part as the DTensor of which the parameter says how it lies; scalars and other shapes stay plain."""
    if not isinstance(parameter, DTensor) or value.ndim == 0 or value.shape != parameter.to_local().shape:
        return value
    return DTensor.from_local(
        value,
        parameter.device_mesh,
        parameter.placements,
        run_check=False,
        shape=parameter.shape,
        stride=parameter.stride(),
    )


def restore_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Load what `locals_of` made of an optimizer's state."""
    optimizer.load_state_dict(state)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                values[name] = like(value, parameter)


def layout(parameter: Tensor) -> Hashable:
    """Equal for parameters that one fused or foreach kernel can take together."""
    return parameter.device_mesh if isinstance(parameter, DTensor) else None


def gradient_norm(gradients: Iterable[Tensor]) -> Tensor:
    """The 2-norm of all gradients together, every element counted once however it lies over the ranks."""
    squares: dict[tuple[ProcessGroup, ...], list[Tensor]] = defaultdict(list)
    for gradient in gradients:
        groups: tuple[ProcessGroup, ...] = ()
        if isinstance(gradient, DTensor):
            mesh = gradient.device_mesh
            cut = [axis for axis, place in enumerate(gradient.placements) if not place.is_replicate()]
            groups, gradient = tuple(mesh.get_group(axis) for axis in cut), gradient.to_local()  # noqa: PLW2901
        squares[groups].append(torch.linalg.vector_norm(gradient, dtype=torch.float32).square())
    sums = {groups: torch.stack(parts).sum() for groups, parts in squares.items()}
    for groups, total in sums.items():
        for group in groups:
            dist.all_reduce(total, group=group)
    return torch.stack(list(sums.values())).sum().sqrt()


def gathered(model: nn.Module) -> list[Entry]:
    """The whole tensors of a model of DTensors, in the order of features that the architecture has."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    return [
        Entry(name, tensor.shape, tensor.dtype, lambda owner=owner, tensor=tensor: _whole(owner, tensor))  # type: ignore[misc]
        for name, owner, tensor in own_tensors(model)
    ]


def _whole(owner: nn.Module, tensor: Tensor) -> Tensor:
    full = tensor.detach()
    if isinstance(full, DTensor):
        full = full.full_tensor()
    projections, ranks = getattr(owner, FUSED, (1, 1))
    return reorder(full, features_axis(owner, full), ranks, projections)
