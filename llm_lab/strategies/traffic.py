"""Counts what a rank sends to keep the copies of a model together."""

from __future__ import annotations

from typing import Any

from torch import distributed


class Traffic:
    """Bytes that this rank sends for gradients and parameters; figures of metrics are not counted.

    A collective's payload is counted when it is handed over, and its share on the wire follows from the
    algorithm: an all-reduce of n bytes over R ranks sends 2 n (R - 1) / R from each (a ring, or halving and
    doubling: Patarasuk and Yuan 2009, https://doi.org/10.1016/j.jpdc.2008.09.002), a broadcast at most n.

    Attributes:
        sent: bytes.
        steps: optimizer steps seen.
    """

    def __init__(self) -> None:
        self.sent, self.steps = 0.0, 0

    def all_reduce(self, payload: float) -> None:
        """Note an all-reduce of a payload in bytes."""
        ranks = distributed.get_world_size()
        self.sent += 2 * payload * (ranks - 1) / ranks

    def step(self) -> None:
        """Note the end of an optimizer step."""
        self.steps += 1

    def facts(self) -> dict[str, Any]:
        """The mean over the steps that this process made; nothing before the first."""
        return {"run/bytes_sent_per_step": round(self.sent / self.steps)} if self.steps else {}
