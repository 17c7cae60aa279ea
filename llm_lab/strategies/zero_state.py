"""What a ZeRO optimizer of DeepSpeed holds on this rank, and whole tensors from the parts of all ranks.

DeepSpeed's own state dicts hold objects of its classes, which would have to be unpickled.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from llm_lab.strategies.stream import Entry

PRIMITIVES = (int, float, bool, str)


def take(optimizer: Any) -> dict[str, Any]:
    """State of the torch optimizer inside, weights in single precision, scale of the loss."""
    whole = _in_parts(optimizer)
    if whole:
        optimizer._set_fp32_optimizer_param_groups()  # noqa: SLF001 - as its own state_dict does
    state = {
        "inner": optimizer.optimizer.state_dict(),
        "masters": [part.detach() for part in _masters(optimizer)],
        "scaler": {
            name: value
            for name, value in vars(optimizer.loss_scaler).items()
            if isinstance(value, PRIMITIVES)
        },
    }
    if whole:
        optimizer._clear_fp32_optimizer_param_groups()  # noqa: SLF001
    return state


def restore(optimizer: Any, state: dict[str, Any]) -> None:
    """Give back what `take` took; the model has its weights already."""
    vars(optimizer.loss_scaler).update(state["scaler"])
    if _in_parts(optimizer):
        known = {"loss_scaler": optimizer.loss_scaler, "dynamic_loss_scale": optimizer.dynamic_loss_scale}
        parts = {
            "optimizer_state_dict": state["inner"],
            "fp32_flat_groups": state["masters"],
            "overflow": False,
        }
        optimizer._rigid_load_state_dict(known | parts)  # noqa: SLF001 - its load_state_dict wants all ranks' parts
        return
    optimizer.optimizer.load_state_dict(state["inner"])
    with torch.no_grad():
        for part, stored in zip(_masters(optimizer), state["masters"], strict=True):
            part.copy_(stored)


def _in_parts(optimizer: Any) -> bool:
    """Whether the parameters are shared out too: stage 3."""
    return hasattr(optimizer, "fp32_partitioned_groups_flat")


def _masters(optimizer: Any) -> list[Tensor]:
    name = "fp32_partitioned_groups_flat" if _in_parts(optimizer) else "single_partition_of_fp32_groups"
    return list(getattr(optimizer, name))


def entry(name: str, tensor: Tensor) -> Entry:
    """A tensor to be gathered: the optimizer's single precision where it trains, else what the model holds."""
    shape = getattr(tensor, "ds_shape", tensor.shape)
    if tensor.requires_grad:
        return Entry(name, shape, torch.float32, lambda: _master(tensor))
    return Entry(name, shape, tensor.dtype, lambda: _held(tensor))


def stored_entry(name: str, tensor: Tensor, path: Path, key: str) -> Entry:
    """A tensor to be read from the weights of a checkpoint; only the rank that writes looks at it."""

    def read() -> Tensor:
        with safe_open(path, framework="pt") as stored:
            return stored.get_tensor(key)

    shape = getattr(tensor, "ds_shape", tensor.shape)
    return Entry(name, shape, torch.float32 if tensor.requires_grad else tensor.dtype, read)


def give(tensor: Tensor, read: Callable[[str], Tensor], name: str) -> None:
    """Copy stored values into a tensor of the model, or this rank's share of them."""
    with torch.no_grad():
        if hasattr(tensor, "ds_id"):
            from deepspeed.runtime.zero import GatheredParameters

            with GatheredParameters([tensor], modifier_rank=0):
                if tensor.numel() and torch.distributed.get_rank() == 0:
                    tensor.copy_(read(name))
        else:
            tensor.copy_(read(name))


def _master(tensor: Tensor) -> Tensor:
    from deepspeed.utils import safe_get_full_fp32_param

    found = safe_get_full_fp32_param(tensor)
    return _held(tensor) if found is None else found


def _held(tensor: Tensor) -> Tensor:
    if not hasattr(tensor, "ds_id"):
        return tensor.detach()
    from deepspeed.runtime.zero import GatheredParameters

    with GatheredParameters([tensor]):
        return tensor.detach().clone()
