"""How one dense layer or embedding table lies over tensor-parallel ranks.

Megatron's pair (Shoeybi et al. 2019, https://arxiv.org/abs/1909.08053): the first layer is cut by output
features, so that each rank computes whole heads or hidden units of its own, the second by input features, so that
the ranks' results add up. torch's own styles know ``nn.Linear`` alone, and not several projections in one matrix.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import (
    DTensor,
    Placement,
    Replicate,
    Shard,
    distribute_module,
    distribute_tensor,
)
from torch.distributed.tensor.parallel import ParallelStyle
from transformers.pytorch_utils import Conv1D

FUSED = "_fused_projections"  # (projections in one matrix, ranks), on a layer whose columns were put in another order


class Columns(ParallelStyle):
    """Output features over the ranks: [.., W] in, [.., features / ranks] out.

    Args:
        projections: how many matrices stand side by side in the one of this layer: 3 for queries, keys, values.
            Each rank gets its share of every one of them.
    """

    def __init__(self, projections: int = 1) -> None:
        super().__init__()
        self.projections = projections

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        def partition(_: str, layer: nn.Module, mesh: DeviceMesh) -> None:
            for name, parameter in list(layer.named_parameters(recurse=False)):
                axis = features_axis(layer, parameter)
                order = (self.projections, mesh.size())
                _lay(layer, name, reorder(parameter.detach(), axis, *order), mesh, Shard(axis))
            if self.projections > 1:
                setattr(layer, FUSED, (self.projections, mesh.size()))

        return _distributed(module, device_mesh, partition, Replicate(), Shard(-1))


class Rows(ParallelStyle):
    """Input features over the ranks: [.., features / ranks] in, [.., W] out, summed over the ranks."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        def partition(_: str, layer: nn.Module, mesh: DeviceMesh) -> None:
            for name, parameter in list(layer.named_parameters(recurse=False)):
                placement = Shard(1 - features_axis(layer, parameter)) if parameter.ndim > 1 else Replicate()
                _lay(layer, name, parameter.detach(), mesh, placement)

        return _distributed(module, device_mesh, partition, Shard(-1), Replicate())


def features_axis(layer: nn.Module, parameter: Tensor) -> int:
    """The axis of the output features: GPT-2's Conv1D holds its matrix transposed."""
    return 1 if isinstance(layer, Conv1D) and parameter.ndim > 1 else 0


def reorder(values: Tensor, axis: int, outer: int, inner: int) -> Tensor:
    """Put an axis of ``outer`` x ``inner`` x rest into the order ``inner`` x ``outer`` x rest.

    So rank by rank instead of projection by projection; with the two numbers exchanged it undoes itself.
    """
    if outer == 1 or inner == 1:
        return values
    split = values.unflatten(axis, (outer, inner, -1))  # type: ignore[no-untyped-call]
    return split.transpose(axis, axis + 1).flatten(axis, axis + 2)


def _lay(layer: nn.Module, name: str, values: Tensor, mesh: DeviceMesh, placement: Placement) -> None:
    """Replace a parameter by this rank's shard of it; all ranks hold the same values already."""
    trains = layer.get_parameter(name).requires_grad
    shard = distribute_tensor(values, mesh, [placement], src_data_rank=None)
    layer.register_parameter(name, nn.Parameter(shard, requires_grad=trains))


def _distributed(
    module: nn.Module, mesh: DeviceMesh, partition: Any, inside: Placement, outside: Placement
) -> nn.Module:
    def enter(_: nn.Module, inputs: Any, mesh: DeviceMesh) -> Any:
        return DTensor.from_local(inputs[0], mesh, [inside], run_check=False)

    def leave(_: nn.Module, outputs: Any, mesh: DeviceMesh) -> Any:
        return outputs.redistribute(mesh, [outside]).to_local()

    return distribute_module(module, mesh, partition, enter, leave)
