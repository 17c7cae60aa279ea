"""How the gradients of one bucket become their mean over the ranks: DDP's communication hooks, counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook, bf16_compress_hook
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel

from llm_lab.strategies.traffic import Traffic

if TYPE_CHECKING:
    from torch._C._distributed_c10d import GradBucket


class Hook(ABC):
    """What DDP calls for each bucket as soon as its gradients are there.

    Args:
        traffic: counter of the bytes.
    """

    def __init__(self, *, traffic: Traffic) -> None:
        self.traffic = traffic

    def attach(self, model: DistributedDataParallel) -> None:
        """Let DDP call this hook."""
        # DDP looks at annotations, which are strings here, and keeps its own bf16 hook from any backend but NCCL
        model.register_comm_hook(None, lambda _, bucket: self(bucket))

    def begin(self, total_steps: int) -> None:
        """Learn the length of the run in optimizer steps, before its first."""
        del total_steps

    @abstractmethod
    def __call__(self, bucket: GradBucket) -> Future[Tensor]:
        """The mean of a bucket over the ranks, to come."""

    def state(self) -> dict[str, Tensor]:
        """What goes on after the step, on this rank."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on with a state."""
        del state


class Exact(Hook):
    """The gradients as they are."""

    def __call__(self, bucket: GradBucket) -> Future[Tensor]:
        """All-reduce the bucket."""
        self.traffic.all_reduce(bucket.buffer().nbytes)
        return allreduce_hook(distributed.group.WORLD, bucket)  # type: ignore[arg-type]


class Bf16(Hook):
    """Gradients rounded to bfloat16 on the way: half the bytes, eight bits of precision."""

    def __call__(self, bucket: GradBucket) -> Future[Tensor]:
        """All-reduce the bucket in bfloat16."""
        self.traffic.all_reduce(bucket.buffer().numel() * torch.bfloat16.itemsize)
        return bf16_compress_hook(distributed.group.WORLD, bucket)  # type: ignore[arg-type]
