"""The root key `sweep`: what becomes of a sweep when a job fails. No part of a run's content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PARTS = 20  # a run is so long for a pruner, whatever its steps: batch sizes and epochs may differ


@dataclass(kw_only=True)
class Options:
    """What to do about failed jobs.

    Attributes:
        on_failure: ``skip`` goes on with the next job, ``stop`` starts no further one, ``retry`` repeats the
            job from its last checkpoint before it is skipped; a job that ran out of memory is not repeated.
        retries: how often ``retry`` repeats a job.
    """

    on_failure: Literal["stop", "skip", "retry"] = "skip"
    retries: int = 1
