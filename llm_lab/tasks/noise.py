"""Chance that depends on nothing but numbers: the same row gets the same noise in whatever batch it stands."""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_BITS = 53  # of a double's fraction


def uniform(rows: Tensor, length: int, *, seed: int, epoch: int, stream: int) -> Tensor:
    """Uniform noise in [0, 1), a pure function of its arguments, position by position.

    Counter-based (Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405) over the mixing function of
    SplitMix64 (Steele et al. 2014, https://doi.org/10.1145/2660193.2660195). So what an objective draws does not
    depend on the batch, the rank or the micro-batch in which a row arrives, and survives a resume.

    Args:
        rows: row numbers int64 [B].
        length: positions T per row.
        seed: of the run.
        epoch: of the training; a constant, -1 by convention, where the noise is to stay the same.
        stream: tells apart several draws for one position.

    Returns:
        float64 [B, T] on the device of ``rows``.
    """
    key = torch.zeros((), dtype=torch.int64, device=rows.device)
    for number in (seed, epoch, stream):
        key = _mix(key + _signed(number * _GOLDEN))
    state = _mix(key + rows * _signed(_GOLDEN))[:, None]
    positions = torch.arange(1, length + 1, device=rows.device)
    bits = _mix(state + positions * _signed(_GOLDEN))
    return _shift(bits, 64 - _BITS).double() / 2.0**_BITS


def _mix(bits: Tensor) -> Tensor:
    """SplitMix64's finalizer; products wrap around, as they are meant to."""
    bits = (bits ^ _shift(bits, 30)) * _signed(0xBF58476D1CE4E5B9)
    bits = (bits ^ _shift(bits, 27)) * _signed(0x94D049BB133111EB)
    return bits ^ _shift(bits, 31)


def _shift(bits: Tensor, by: int) -> Tensor:
    """Shift to the right, filling up with zeros; torch repeats the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    """The 64-bit integer of the same bits."""
    return (number + 2**63) % 2**64 - 2**63
