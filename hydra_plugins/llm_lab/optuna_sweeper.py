"""`hydra/sweeper=optuna`: values chosen by what earlier jobs reached; what it does lies in `llm_lab.sweeps`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """A search by Optuna, on disk, that can be killed and issued again.

    Args:
        params: the search space: a word per key in Hydra's grammar; the command line's win.
        sampler: what chooses the values.
        pruner: what ends trials early by their validations.
        n_trials: how many trials the sweep has; None is the whole grid, with ``sampler: grid``.
        n_jobs: trials that are chosen, and launched, at the same time.
        seed: of the sampler.
        seeds: each trial is run with every one of these, and its value is their mean.
        objective: a metric, or several; None is ``callbacks.best.monitor``.
        direction: ``minimize`` or ``maximize`` for each; None follows from the metric.
        startup: trials drawn at random, and spared by the median pruner, before the others are judged by them.
        prune_from: the part of a run before which none is ended.
        reduction: of how many trials ``asha`` and ``hyperband`` let one go on.
    """

    def __init__(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        sampler: Literal["tpe", "cma_es", "random", "grid"] = "tpe",
        pruner: Literal["none", "median", "asha", "hyperband"] = "none",
        n_trials: int | None = 20,
        n_jobs: int = 1,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        objective: str | Sequence[str] | None = None,
        direction: str | Sequence[str] | None = None,
        startup: int = 5,
        prune_from: float = 0.1,
        reduction: int = 2,
    ) -> None:
        self._given: dict[str, Any] = {}
        self.settings = {
            "params": params,
            "sampler": sampler,
            "pruner": pruner,
            "n_trials": n_trials,
            "n_jobs": n_jobs,
            "seed": seed,
            "seeds": seeds,
            "objective": objective,
            "direction": direction,
            "startup": startup,
            "prune_from": prune_from,
            "reduction": reduction,
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives; the launcher is built when jobs are to be started."""
        self._given = {"hydra": hydra_context, "task": task_function, "config": config}

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials that are missing."""
        from llm_lab.sweeps.context import Context
        from llm_lab.sweeps.search import search

        search(Context(**self._given, settings=self.settings), arguments)
