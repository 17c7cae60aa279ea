"""Learning rate schedules of transformers, with lengths relative to the run.

``warmup`` below 1 is a share of the optimizer steps, from 1 on it is a number of steps.
"""

from __future__ import annotations

from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
    get_linear_schedule_with_warmup,
    get_wsd_schedule,
)

from llm_lab.errors import ConfigError


def constant(*, optimizer: Optimizer, total_steps: int, warmup: float = 0.0) -> LambdaLR:
    """The full rate after a linear warm-up."""
    return get_constant_schedule_with_warmup(optimizer, steps("warmup", warmup, total_steps))


def linear(*, optimizer: Optimizer, total_steps: int, warmup: float = 0.1) -> LambdaLR:
    """Linear warm-up, then linear to zero at the last step (BERT, https://arxiv.org/abs/1810.04805)."""
    return get_linear_schedule_with_warmup(optimizer, steps("warmup", warmup, total_steps), total_steps)


def cosine(
    *, optimizer: Optimizer, total_steps: int, warmup: float = 0.1, min_lr_rate: float = 0.0
) -> LambdaLR:
    """Linear warm-up, then half a cosine down to ``min_lr_rate`` of the rate (SGDR, https://arxiv.org/abs/1608.03983)."""
    return get_cosine_with_min_lr_schedule_with_warmup(
        optimizer, steps("warmup", warmup, total_steps), total_steps, min_lr_rate=min_lr_rate
    )


def wsd(
    *,
    optimizer: Optimizer,
    total_steps: int,
    warmup: float = 0.1,
    decay: float = 0.2,
    decay_type: Literal["linear", "cosine", "1-sqrt"] = "1-sqrt",
    min_lr_ratio: float = 0.0,
) -> LambdaLR:
    """Warm-up, stable, decay (MiniCPM, https://arxiv.org/abs/2404.06395; the shape 1-sqrt, https://arxiv.org/abs/2405.18392).

    Raises:
        ConfigError: warm-up and decay are longer than the run together.
    """
    up, down = steps("warmup", warmup, total_steps), steps("decay", decay, total_steps)
    if up + down > total_steps:
        raise ConfigError(
            f"scheduler.decay: warm-up ({up}) and decay ({down}) exceed the run's {total_steps} steps"
        )
    return get_wsd_schedule(
        optimizer, up, down, total_steps, decay_type=decay_type, min_lr_ratio=min_lr_ratio
    )


def steps(name: str, length: float, total: int) -> int:
    """A length in optimizer steps, from a share of the run (below 1) or a number of steps.

    Raises:
        ConfigError: a negative length, or one beyond the end of the run.
    """
    count = round(length * total) if length < 1 else int(length)
    if not 0 <= count <= total:
        raise ConfigError(f"scheduler.{name}: {length} is {count} steps of a run of {total}")
    return count
