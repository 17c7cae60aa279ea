"""Rules across fields: each is one small named function over the resolved config; add one with `@rule`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llm_lab.config.fault import Fault
from llm_lab.config.nearest import did_you_mean

Values = Mapping[str, Any]
Rule = Callable[[Values], Iterator[Fault]]
RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    """Register a rule under its name."""
    RULES[function.__name__] = function
    return function


def apply(values: Values) -> Iterator[Fault]:
    """The faults that all rules find."""
    for function in RULES.values():
        yield from function(values)


def get(values: Any, key: str) -> Any:
    """A value by its dotted key, None where it is not there."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def number(values: Values, key: str) -> float | None:
    """A number by its dotted key, None where it is not there or not a number."""
    value = get(values, key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@rule
def warm_up_within_training(values: Values) -> Iterator[Fault]:
    """`scheduler.warmup` is a fraction of the run below 1, else steps; neither may outlast the training."""
    warmup, steps = number(values, "scheduler.warmup"), number(values, "trainer.max_steps")
    if warmup is None:
        return
    if warmup < 0:
        yield Fault(key="scheduler.warmup", message=f"must not be negative, but is {warmup:g}")
    elif steps is not None and 0 < steps <= warmup and warmup >= 1:
        yield Fault(
            key="scheduler.warmup",
            message=f"the warm-up of {warmup:g} steps is longer than the training: "
            f"trainer.max_steps is {steps:g}",
            suggestion="a value below 1 is a fraction of the run: 0.1 warms up for a tenth of it",
        )


@rule
def monitor_is_logged(values: Values) -> Iterator[Fault]:
    """What is monitored must be a value that the task logs."""
    metrics = get(values, "task.metrics")
    if not isinstance(metrics, Mapping):
        return
    legal = ["train/loss", "val/loss", *(f"val/{name}" for name, node in metrics.items() if node is not None)]
    for key in ("task.monitor", *(f"callbacks.{name}.monitor" for name in get(values, "callbacks") or {})):
        name = get(values, key)
        if isinstance(name, str) and name not in legal:
            yield Fault(
                key=key, message=f"the task does not log `{name}`", suggestion=did_you_mean(name, legal)
            )


@rule
def validation_for_monitor(values: Values) -> Iterator[Fault]:
    """A monitored validation value needs validation."""
    name = get(values, "task.monitor")
    if number(values, "trainer.limit_val_batches") == 0 and isinstance(name, str) and name.startswith("val/"):
        yield Fault(
            key="trainer.limit_val_batches",
            message=f"without validation there is no `{name}`, which task.monitor watches",
            suggestion="set task.monitor=train/loss",
        )


@rule
def training_ends(values: Values) -> Iterator[Fault]:
    """Steps, epochs or time must bound a training."""
    steps, epochs = number(values, "trainer.max_steps"), number(values, "trainer.max_epochs")
    if (
        steps is not None
        and steps < 0
        and epochs is not None
        and epochs < 0
        and not get(values, "trainer.max_time")
    ):
        yield Fault(
            key="trainer.max_epochs",
            message="nothing ends this training: max_steps and max_epochs are both -1",
        )


_LEAST = {
    "seed": 0,
    "data.batch_size": 1,
    "data.limit": 1,
    "data.max_length": 1,
    "launch.restarts": 0,
    "optimizer.lr": 0,
    "optimizer.weight_decay": 0,
    "strategy.every": 1,
    "strategy.rank": 1,
    "sweep.retries": 0,
    "trainer.accumulate_grad_batches": 1,
    "trainer.gradient_clip_val": 0,
    "trainer.num_nodes": 1,
}
_ABOVE_ZERO = ("launch.timeout", "strategy.bucket_cap_mb")


@rule
def numbers_in_range(values: Values) -> Iterator[Fault]:
    """Counts start at one, rates at zero, probabilities stay below one."""
    for key, least in _LEAST.items():
        value = number(values, key)
        if value is not None and value < least:
            yield Fault(key=key, message=f"must be {least} or more, but is {value:g}")
    for key in _ABOVE_ZERO:
        value = number(values, key)
        if value is not None and not 0 < value < math.inf:
            yield Fault(key=key, message=f"must be above 0, but is {value:g}")
    for key in ("model.dropout", "model.modality_dropout", "task.label_smoothing"):
        value = number(values, key)
        if value is not None and not 0 <= value < 1:
            yield Fault(key=key, message=f"must be between 0 and 1, but is {value:g}")
