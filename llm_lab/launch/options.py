"""The `launch` node of a config."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class Launch:
    """How ranks are started and watched; nothing of it changes what a run computes.

    Attributes:
        elastic: start the ranks again when one of them dies; they go on from the newest checkpoint.
        restarts: how often, where `elastic` is on.
        timeout: seconds to wait for all ranks to find each other.
        oversubscribe: allow more ranks than cores or devices.
        requeue: put a preempted Slurm job back into the queue once its checkpoint is written.
    """

    elastic: bool = False
    restarts: int = 3
    timeout: float = 120.0
    oversubscribe: bool = False
    requeue: bool = True
