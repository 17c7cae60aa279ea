"""Optuna's samplers and pruners by name, seeded so that trial k of a sweep is the same whenever it is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from optuna import pruners, samplers
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from llm_lab.sweeps.options import PARTS


def sampler_of(name: str, *, seed: int, number: int, startup: int) -> BaseSampler:
    """The sampler for one trial.

    Args:
        name: ``tpe``, ``cma_es`` or ``random``.
        seed: of the sweep.
        number: of the trial, which gets a random stream of its own.
        startup: trials that are drawn at random before the others are modelled.
    """
    own = int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4])
    if name == "random":
        return samplers.RandomSampler(seed=own)
    if name == "cma_es":
        return samplers.CmaEsSampler(seed=own, n_startup_trials=startup, warn_independent_sampling=False)
    return samplers.TPESampler(seed=own, n_startup_trials=startup)


def pruner_of(name: str, settings: Mapping[str, Any]) -> BasePruner:
    """The pruner by name.

    Args:
        name: ``none``, ``median``, ``asha`` (successive halving) or ``hyperband``.
        settings: ``prune_from``, the part of a run that is let be; ``reduction``, of how many trials one
            goes on; ``startup``, trials that are let be.
    """
    first = max(1, round(float(settings.get("prune_from", 0)) * PARTS))
    reduction = int(settings.get("reduction", 3))
    if name == "median":
        return pruners.MedianPruner(
            n_startup_trials=int(settings.get("startup", 5)), n_warmup_steps=first - 1
        )
    if name == "asha":
        return pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=reduction)
    if name == "hyperband":
        return pruners.HyperbandPruner(min_resource=first, max_resource=PARTS, reduction_factor=reduction)
    return pruners.NopPruner()
