"""PowerSGD: gradients of low rank on the wire, and a memory of what that lost."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel

from llm_lab.strategies.hooks import Hook
from llm_lab.strategies.traffic import Traffic

if TYPE_CHECKING:
    from torch._C._distributed_c10d import GradBucket

FIRST = 2  # DDP settles its buckets in the first two steps


class PowerSGDHook(Hook):
    """torch's PowerSGD (Vogels et al. 2019, https://arxiv.org/abs/1905.13727), with a state that can be stored.

    A gradient matrix M [n, m] goes over the wire as P [n, r] and Q [m, r]. torch keeps Q and the error, what PQ
    lacked of M, by bucket, and buckets differ after a resume until DDP has settled them. Here both belong to their
    parameter: they are laid out anew whenever a bucket comes with other parameters. The first Q of a parameter
    depends on its name alone, so that it is the same on all ranks and in every resumed run.

    Args:
        traffic: counter of the bytes.
        rank: r.
        start: first compressed step; below 1 a share of the run. Never before the third step.
        error_feedback: add the error of a step to the gradient of the next.
        least_rate: a matrix is compressed where that makes it smaller by this factor.
    """

    def __init__(
        self, *, traffic: Traffic, rank: int, start: float, error_feedback: bool, least_rate: float
    ) -> None:
        super().__init__(traffic=traffic)
        self.rank, self.start, self.error_feedback, self.least_rate = rank, start, error_feedback, least_rate
        self._torch: PowerSGDState
        self._names: dict[Tensor, str] = {}
        self._shapes: dict[str, torch.Size] = {}
        self._layouts: dict[int, tuple[str, ...]] = {}
        self._errors: dict[str, Tensor] = {}
        self._factors: dict[str, Tensor] = {}

    def attach(self, model: DistributedDataParallel) -> None:
        """Let DDP call this hook; a state restored before stays."""
        named = dict(model.module.named_parameters())
        self._names = {parameter: name for name, parameter in named.items()}
        self._shapes = {name: parameter.shape for name, parameter in named.items()}
        self._layouts.clear()
        self._torch = PowerSGDState(
            process_group=None,
            matrix_approximation_rank=self.rank,
            start_powerSGD_iter=FIRST,
            min_compression_rate=self.least_rate,
            use_error_feedback=self.error_feedback,
            orthogonalization_epsilon=1e-8,
        )
        super().attach(model)

    def begin(self, total_steps: int) -> None:
        """Turn the share of the run into a step."""
        start = round(self.start * total_steps) if self.start < 1 else int(self.start)
        self._torch.start_powerSGD_iter = max(FIRST, start)

    def __call__(self, bucket: GradBucket) -> Future[Tensor]:
        """All-reduce the factors of the bucket's matrices and everything else as it is."""
        state, buffer = self._torch, bucket.buffer()
        compresses = state.iter >= state.start_powerSGD_iter
        if compresses:
            self._settle(bucket)
        before = state.total_numel_after_compression
        future = powerSGD_hook(state, bucket)
        numbers = state.total_numel_after_compression - before if compresses else buffer.numel()
        self.traffic.all_reduce(numbers * buffer.element_size())
        if not buffer.is_cuda:
            # the sums of P and Q start in callbacks, whose order among buckets differs between ranks on gloo
            future.wait()
        return future

    def state(self) -> dict[str, Tensor]:
        """The number of steps, each parameter's error and each compressed one's Q."""
        errors, factors = dict(self._errors), dict(self._factors)
        for index, names in self._layouts.items():
            errors |= self._split(self._torch.error_dict.get(index), self._sizes(names))
            factors |= self._split(self._torch.q_memory_dict.get(index), self._compressed(names))
        found = {f"error/{name}": value for name, value in errors.items()}
        found |= {f"factor/{name}": value for name, value in factors.items()}
        return found | {"steps": torch.tensor(self._torch.iter)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on with a state; its tensors are laid into the buckets as these come."""
        self._torch.iter = int(state["steps"])
        for kind, kept in (("error/", self._errors), ("factor/", self._factors)):
            kept |= {name.removeprefix(kind): value for name, value in state.items() if name.startswith(kind)}

    def _settle(self, bucket: GradBucket) -> None:
        """Lay errors and factors out as the bucket lies, taking them from where they lay before."""
        names = tuple(self._names[parameter] for parameter in bucket.parameters())
        if self._layouts.get(bucket.index()) == names:
            return
        for index, others in list(self._layouts.items()):
            # a bucket that this step has settled already holds none of these names
            if index == bucket.index() or not set(names).isdisjoint(others):
                self._take_apart(index)
        self._put_together(bucket.index(), names, bucket.buffer())

    def _take_apart(self, index: int) -> None:
        names = self._layouts.pop(index)
        self._errors |= self._split(self._torch.error_dict.pop(index, None), self._sizes(names))
        self._factors |= self._split(self._torch.q_memory_dict.pop(index, None), self._compressed(names))

    def _put_together(self, index: int, names: tuple[str, ...], like: Tensor) -> None:
        state, empty = self._torch, like.new_empty(0)
        if self.error_feedback:
            zeros = {name: like.new_zeros(size) for name, size in self._sizes(names).items()}
            errors = [self._errors.pop(name, zero).to(like) for name, zero in zeros.items()]
            state.error_dict[index] = torch.cat([empty, *errors])
        compressed = self._compressed(names)
        factors = [self._factors.pop(name, None) for name in compressed]
        known = [
            _first(name, size) if one is None else one
            for (name, size), one in zip(compressed.items(), factors, strict=True)
        ]
        state.q_memory_dict[index] = torch.cat([empty, *(one.to(like) for one in known)])
        rows = sum(self._shapes[name][0] * self._rank_of(name) for name in compressed)
        state.p_memory_dict[index] = like.new_empty(rows)
        self._layouts[index] = names

    def _sizes(self, names: Sequence[str]) -> dict[str, int]:
        return {name: self._shapes[name].numel() for name in names}

    def _compressed(self, names: Sequence[str]) -> dict[str, int]:
        """Numbers in Q of each compressed parameter, in torch's order: by shape, as shapes come."""
        groups: dict[tuple[int, int], list[str]] = defaultdict(list)
        for name in names:
            rows, columns = self._matrix(name)
            if (rows + columns) * self._rank_of(name) * self.least_rate < rows * columns:
                groups[rows, columns].append(name)
        return {name: shape[1] * self._rank_of(name) for shape, group in groups.items() for name in group}

    def _matrix(self, name: str) -> tuple[int, int]:
        shape = self._shapes[name]
        return shape[0], shape.numel() // shape[0]

    def _rank_of(self, name: str) -> int:
        return min(*self._matrix(name), self.rank)

    @staticmethod
    def _split(flat: Tensor | None, sizes: Mapping[str, int]) -> dict[str, Tensor]:
        return {} if flat is None else dict(zip(sizes, flat.split(list(sizes.values())), strict=True))  # type: ignore[no-untyped-call]


def _first(name: str, size: int) -> Tensor:
    """Random numbers to begin with, the same on all ranks."""
    return torch.randn(size, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
