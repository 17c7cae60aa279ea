"""What the jobs of a sweep are compared by, and whether any job will log it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from llm_lab.config.fault import Fault
from llm_lab.config.nearest import did_you_mean
from llm_lab.sweeps.record import Objective
from llm_lab.tracking.formats import lower_is_better

NODE = "hydra.sweeper"
DIRECTIONS = ("minimize", "maximize")
MONITOR, MODE = "callbacks.best.monitor", "callbacks.best.mode"


def objectives_of(config: DictConfig, settings: Mapping[str, Any]) -> tuple[Objective, ...]:
    """The objectives of a sweep; without a word about it, what the best checkpoint is chosen by.

    Never the test split's figure by itself: what is chosen by it would no longer be measured by it.

    Args:
        config: of any job.
        settings: ``objective`` and ``direction`` of the sweeper.
    """
    monitor = OmegaConf.select(config, MONITOR) or "val/loss"
    names = _texts(settings.get("objective")) or [str(monitor)]
    asked = _texts(settings.get("direction"))
    found = []
    for place, name in enumerate(names):
        lower = lower_is_better(name)
        if name == monitor and OmegaConf.select(config, MODE):
            lower = OmegaConf.select(config, MODE) == "min"
        direction = asked[place] if place < len(asked) else DIRECTIONS[not lower]
        found.append(Objective(metric=name, direction=direction))
    return tuple(found)


def objective_faults(config: DictConfig, settings: Mapping[str, Any]) -> Iterator[Fault]:
    """Objectives that no job logs, and directions that are none or too many."""
    names, asked = _texts(settings.get("objective")), _texts(settings.get("direction"))
    legal = logged(config)
    for name in names:
        if name not in legal and not name.startswith("run/"):
            near = did_you_mean(name, legal)
            yield Fault(key=f"{NODE}.objective", message=f"no job logs `{name}`", suggestion=near)
    for direction in asked:
        if direction not in DIRECTIONS:
            near = did_you_mean(direction, DIRECTIONS)
            yield Fault(key=f"{NODE}.direction", message=f"`{direction}` is no direction", suggestion=near)
    if asked and len(asked) != max(1, len(names)):
        message = f"{len(asked)} directions for {max(1, len(names))} objectives"
        yield Fault(key=f"{NODE}.direction", message=message)


def logged(config: DictConfig) -> list[str]:
    """The metrics that a job of this config has in the end, costs (``run/...``) aside."""
    metrics = OmegaConf.select(config, "task.metrics") or {}
    names = ["loss", *(str(name) for name, node in metrics.items() if node is not None)]
    splits = ["val", "test"] if OmegaConf.select(config, "mode.test", default=True) else ["val"]
    return ["train/loss", *(f"{split}/{name}" for split in splits for name in names)]


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(item) for item in value]


def seeds_of(settings: Mapping[str, Any]) -> tuple[int, ...]:
    """The seeds that every trial is run with; none where seeds are no dimension."""
    seeds: Sequence[int] = settings.get("seeds") or ()
    return tuple(int(seed) for seed in seeds)
