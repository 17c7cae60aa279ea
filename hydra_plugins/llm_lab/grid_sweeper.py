"""`hydra/sweeper=grid`: every combination of the values; what it does lies in `llm_lab.sweeps`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(Sweeper):
    """Hydra's own expansion; a failed job is recorded, not raised.

    Args:
        params: words of the sweep, by key; the command line's win.
        seeds: each combination is run with every one of these.
        objective: what jobs are compared by; None is ``callbacks.best.monitor``.
        direction: ``minimize`` or ``maximize``; None follows from the metric.
        max_batch_size: how many jobs a launcher gets at once; None is all.
    """

    def __init__(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        seeds: Sequence[int] | None = None,
        objective: str | Sequence[str] | None = None,
        direction: str | Sequence[str] | None = None,
        max_batch_size: int | None = None,
    ) -> None:
        self._given: dict[str, Any] = {}
        self.settings = {
            "params": params,
            "seeds": seeds,
            "objective": objective,
            "direction": direction,
            "max_batch_size": max_batch_size,
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives; the launcher is built when jobs are to be started."""
        self._given = {"hydra": hydra_context, "task": task_function, "config": config}

    def sweep(self, arguments: list[str]) -> None:
        """Run all jobs that are missing."""
        from llm_lab.sweeps.context import Context
        from llm_lab.sweeps.grid import grid

        grid(Context(**self._given, settings=self.settings), arguments)
