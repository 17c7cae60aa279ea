"""How much of the spread of the figures each swept key explains: functional ANOVA over a random forest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from llm_lab.sweeps.rows import Row

FEWEST = 10  # finished jobs below which a forest says nothing
SEED = 0


def importances(rows: Sequence[Row], keys: Sequence[str], goal: int = 0) -> dict[str, float]:
    """Return the share of each key, the largest first; empty where it cannot be told.

    fANOVA of Hutter et al. 2014, https://proceedings.mlr.press/v32/hutter14.html, as Optuna computes it.

    Args:
        rows: finished jobs; the others have no figure that compares.
        keys: swept keys without the seed.
        goal: which of the figures.
    """
    varied = [key for key in keys if len({repr(row.values.get(key)) for row in rows}) > 1]
    figures = [row.figures[goal] for row in rows]
    if len(rows) < FEWEST or not varied or max(figures) == min(figures):
        return {}
    if len(varied) == 1:
        return {varied[0]: 1.0}
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study()
        spaces = {key: _space([row.values.get(key) for row in rows]) for key in varied}
        study.add_trials(
            [
                optuna.create_trial(params=_params(row.values, spaces), distributions=spaces, value=figure)
                for row, figure in zip(rows, figures, strict=True)
            ]
        )
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=SEED)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: share for key, share in found.items() if math.isfinite(share)}


def _space(column: Sequence[Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in column):
        low, high = float(min(column)), float(max(column))
        return FloatDistribution(low, high, log=low > 0)
    return CategoricalDistribution(sorted({str(value) for value in column}))


def _params(values: Mapping[str, Any], spaces: Mapping[str, Any]) -> dict[str, Any]:
    """A key with a text among its values is a choice between texts."""
    return {
        key: str(values.get(key)) if hasattr(space, "choices") else float(values[key])
        for key, space in spaces.items()
    }
