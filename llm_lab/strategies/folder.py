"""A checkpoint that many ranks write: a folder that appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from llm_lab.errors import RunError

MANIFEST, COMMON, WEIGHTS = "files.json", "common.ckpt", "weights.safetensors"


@contextmanager
def written(path: Path, rank: int) -> Iterator[Path]:
    """A temporary folder for all ranks to write into; renamed once every rank has, with a list of what is in it.

    Args:
        path: where the checkpoint is to be, the same on all ranks.
        rank: of this process.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    if rank == 0:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    dist.barrier()
    yield temporary
    dist.barrier()
    if rank == 0:
        sizes = {file.name: file.stat().st_size for file in sorted(temporary.iterdir())}
        (temporary / MANIFEST).write_text(json.dumps(sizes, indent=1), encoding="utf-8")
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    dist.barrier()


def part(folder: Path, rank: int) -> Path:
    """The file of one rank."""
    return folder / f"rank-{rank}.ckpt"


def store(content: dict[str, Any], path: Path) -> None:
    """Write tensors and primitives, on disk when this returns."""
    with path.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def load(path: Path) -> dict[str, Any]:
    """Read tensors and primitives; memory is mapped, not filled."""
    return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=True))


def load_part(folder: Path, rank: int, ranks: int) -> dict[str, Any]:
    """The file of a rank.

    Raises:
        RunError: the checkpoint was written by another number of ranks.
    """
    count = len(list(folder.glob("rank-*.ckpt")))
    if count != ranks:
        raise RunError(f"{folder} was written by {count} ranks; go on with as many, not with {ranks}")
    return load(part(folder, rank))


def is_whole(folder: Path) -> bool:
    """Whether all files that the ranks wrote are there in their full length, and hold nothing but data."""
    try:
        sizes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        complete = all((folder / name).stat().st_size == size for name, size in sizes.items())
        parts = [load(file) for file in folder.glob("*.ckpt")] if complete else []
    except Exception:  # noqa: BLE001 - a torn folder fails in many ways, all of them mean "not this one"
        return False
    return complete and COMMON in sizes and bool(parts)
