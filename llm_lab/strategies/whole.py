"""Layers of a model in parts, whole for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor


@contextmanager
def whole(module: nn.Module) -> Iterator[None]:
    """Hold the parameters of a module whole on every rank, then in parts again with what was written into them.

    All ranks enter, and write the same. Parameters that are whole anyway are left alone.
    """
    shared_out = [one for one in module.parameters() if hasattr(one, "ds_id")]
    with _of_zero(shared_out), _of_dtensors(module):
        yield


@contextmanager
def _of_zero(parameters: list[nn.Parameter]) -> Iterator[None]:
    if not parameters:
        yield
        return
    from deepspeed.runtime.zero import GatheredParameters

    with GatheredParameters(parameters, modifier_rank=0):
        yield


@contextmanager
def _of_dtensors(module: nn.Module) -> Iterator[None]:
    """Plain parameters take their places: ``data`` of a DTensor cannot be set."""
    parts = {
        (owner, name): (value, value.data)
        for owner in module.modules()
        for name, value in owner.named_parameters(recurse=False)
        if isinstance(value.data, DTensor)
    }
    for (owner, name), (value, part) in parts.items():
        setattr(owner, name, nn.Parameter(part.full_tensor(), value.requires_grad))
    yield
    for (owner, name), (value, part) in parts.items():
        written = distribute_tensor(getattr(owner, name).detach(), part.device_mesh, part.placements)
        part.to_local().copy_(written.to_local())
        setattr(owner, name, value)
