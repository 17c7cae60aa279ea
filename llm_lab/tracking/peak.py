"""What the matrix units of this machine really deliver, measured, so that a share of it means something."""

from __future__ import annotations

import time
from functools import cache

import torch

SIDE = 1024  # operands of 2 to 4 MB: large enough for full speed, small enough for many repetitions


@cache
def known_peak(dtype: torch.dtype, *, device: str | torch.device = "cpu") -> float:
    """The peak as it was first measured in this process, for the jobs of a sweep."""
    return matrix_peak(dtype, device=device)


def matrix_peak(dtype: torch.dtype, seconds: float = 0.3, *, device: str | torch.device = "cpu") -> float:
    """Measured peak of square matrix products in FLOP/s: the best of as many repetitions as fit into `seconds`."""
    side = SIDE if torch.device(device).type == "cpu" else 8 * SIDE
    left = torch.randn(side, side, device=device).to(dtype)
    right = torch.randn(side, side, device=device).to(dtype)
    _timed_product(left, right)  # the first call builds the kernel
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        best = min(best, _timed_product(left, right))
    return 2 * side**3 / best


def _timed_product(left: torch.Tensor, right: torch.Tensor) -> float:
    """Seconds of one product, waiting for devices that work asynchronously."""
    start = time.perf_counter()
    torch.mm(left, right)
    if left.device.type == "cuda":
        torch.cuda.synchronize(left.device)
    return time.perf_counter() - start
