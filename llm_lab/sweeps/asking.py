"""The values of the next trial: a pure function of the sweep's seed, its number and the trials before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from llm_lab.sweeps.journal import add, copy_in_memory
from llm_lab.sweeps.record import Sweep
from llm_lab.sweeps.samplers import pruner_of, sampler_of
from llm_lab.sweeps.space import Axis, Value, combinations

Values = dict[str, Value]


class Asker:
    """Asks a sampler, on a copy of the study that it may write to.

    Args:
        study: on disk.
        axes: the search space.
        sweep: its pruner matters to Hyperband, whose brackets are modelled apart.
        options: of the sweeper.
    """

    def __init__(self, study: Study, axes: Sequence[Axis], sweep: Sweep, options: Mapping[str, Any]) -> None:
        self._study, self._sweep, self._options = study, sweep, options
        self._axes = {axis.key: axis for axis in axes}
        self.distributions = {axis.key: axis.distribution() for axis in axes}
        self._notes: dict[int, dict[str, Any]] = {}  # what CMA-ES noted about each trial when it was asked

    def ask(self, number: int, before: Sequence[FrozenTrial], beside: Sequence[FrozenTrial]) -> Values:
        """The values of trial ``number``.

        Args:
            number: of the trial.
            before: the trials of earlier batches.
            beside: those of its own batch that are chosen already.
        """
        if self._options["sampler"] == "grid":
            return next(islice(combinations([*self._axes.values()]), number, None))
        if self._options["sampler"] == "cma_es":
            self._remember(before)
        values, _ = self._asked(number, [*before, *(_as_running(trial) for trial in beside)])
        return values

    def _asked(self, number: int, history: Sequence[FrozenTrial]) -> tuple[Values, dict[str, Any]]:
        options = self._options
        sampler = sampler_of(
            options["sampler"], seed=options["seed"], number=number, startup=options["startup"]
        )
        pruner = pruner_of(self._sweep.pruner, self._sweep.settings)
        study = copy_in_memory(self._study, sampler=sampler, pruner=pruner)
        for trial in history:
            add(study, trial, self._notes.get(trial.number, {}))
        asked = study.ask(self.distributions)
        frozen = study.get_trials(deepcopy=False)[-1]
        values = {key: self._axes[key].rounded(value) for key, value in asked.params.items()}
        return values, dict(frozen.system_attrs)

    def _remember(self, trials: Sequence[FrozenTrial]) -> None:
        """Ask again for the trials of earlier issues: the state of CMA-ES is a pickle and never on disk."""
        width = self._options["n_jobs"]
        for trial in trials:
            if trial.number not in self._notes:
                start = trial.number // width * width
                values, notes = self._asked(trial.number, trials[:start])
                self._notes[trial.number] = notes if values == trial.params else {}


def _as_running(trial: FrozenTrial) -> FrozenTrial:
    """A trial of the same batch as it was when the next one was chosen."""
    return FrozenTrial(
        number=trial.number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=trial.datetime_start,
        datetime_complete=None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=trial.number,
    )
