"""Weights to a safetensors file one tensor at a time, however they lie over the ranks.

A sharded model may not fit into the memory of one process; here nobody ever holds more than one whole tensor.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

# https://github.com/huggingface/safetensors#format: the names of the types in a header.
TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class Entry(NamedTuple):
    """A tensor to be gathered: every rank calls ``fetch``, in the same order, and gets the whole tensor."""

    name: str
    shape: Sequence[int]
    dtype: torch.dtype
    fetch: Callable[[], Tensor]

    @property
    def nbytes(self) -> int:
        """Size of the whole tensor."""
        return prod(self.shape) * self.dtype.itemsize


def own_tensors(model: nn.Module) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Name, owner and value of all parameters and persistent buffers; what is shared comes once."""
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        buffers = {
            name: value
            for name, value in module.named_buffers(recurse=False)
            if name not in module._non_persistent_buffers_set  # noqa: SLF001 - torch has no public name for it
        }
        for name, value in {**dict(module.named_parameters(recurse=False)), **buffers}.items():
            if id(value) not in seen:
                seen.add(id(value))
                yield f"{prefix}.{name}".lstrip("."), module, value


def write_stream(entries: Sequence[Entry], path: Path | None) -> None:
    """Gather tensor by tensor; the rank that is given a path writes them there.

    Args:
        entries: what to gather, the same on all ranks.
        path: of the file; None on the ranks that only take part.
    """
    if path is None:
        for entry in entries:
            entry.fetch()
        return
    with path.open("wb") as file:
        head = _header(entries)
        file.write(len(head).to_bytes(8, "little") + head)
        for entry in entries:
            whole = entry.fetch().detach().to("cpu", entry.dtype).contiguous()
            file.write(whole.flatten().view(torch.uint8).numpy().data)
            del whole  # before the next one is gathered
        file.flush()
        os.fsync(file.fileno())


def _header(entries: Sequence[Entry]) -> bytes:
    fields: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for entry in entries:
        stop = start + entry.nbytes
        fields[entry.name] = {
            "dtype": TYPES[entry.dtype],
            "shape": list(entry.shape),
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(fields, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)
