"""A search by Optuna, batch after batch, of which a kill at any moment loses nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from llm_lab.config.run_hash import content, digest
from llm_lab.sweeps.asking import Asker
from llm_lab.sweeps.driver import Driver, open_sweep
from llm_lab.sweeps.grid import describe, space_of
from llm_lab.sweeps.journal import begin_trial, end_trial, open_journal, same_search
from llm_lab.sweeps.record import Job, state_of, value_of
from llm_lab.sweeps.seeds import mean
from llm_lab.sweeps.space import Axis, combinations, job_words

if TYPE_CHECKING:
    from optuna.study import Study

    from llm_lab.sweeps.context import Context
    from llm_lab.sweeps.record import Sweep

PRUNER = ("startup", "prune_from", "reduction")


def search(context: Context, arguments: list[str]) -> None:
    """Run the trials that are missing.

    Trials come in batches of ``n_jobs``; a batch is chosen by the values of the batches before it, each trial
    with a random stream of its own, so what is chosen does not depend on when or how often the sweep was
    killed. A trial stands in the journal with its values before it is launched; one that was running when the
    sweep was killed is launched again, under its own number.

    Raises:
        RunError: jobs have failed.
    """
    fixed, axes = space_of(context, arguments)
    options = context.settings
    total = _trials(options, axes)
    sweep = describe(context, fixed, axes, trials=total)
    sweep.sampler, sweep.pruner = options["sampler"], options["pruner"]
    sweep.settings = {key: options[key] for key in PRUNER}
    with open_sweep(context, sweep) as driver:
        study = open_journal(driver.directory, sweep.objectives)
        same_search(study, _decides(context, sweep, axes), driver.directory)
        asker = Asker(study, axes, sweep, options)
        loop = _Loop(driver, study, fixed, axes)
        for start in range(0, total, options["n_jobs"]):
            numbers = range(start, min(start + options["n_jobs"], total))
            loop.batch([_trial(study, asker, number, start) for number in numbers])
            if driver.stopped:
                break


def _decides(context: Context, sweep: Sweep, axes: Sequence[Axis]) -> dict[str, str]:
    """Digests of all that a trial's figures follow from: each root key of the config, the space, the seeds."""
    asked = {"the space": axes, "the objectives": sweep.objectives, "the seeds": sweep.seeds}
    return {name: digest(str(value)) for name, value in (content(context.config) | asked).items()}


def _trials(options: Mapping[str, Any], axes: Sequence[Axis]) -> int:
    """How many trials there are to be; a grid has no more than its combinations."""
    if options["sampler"] != "grid":
        return int(options["n_trials"])
    count = sum(1 for _ in combinations(axes))
    return min(count, options["n_trials"] or count)


def _trial(study: Study, asker: Asker, number: int, start: int) -> FrozenTrial:
    """A trial of the journal, begun where it is not there yet."""
    trials = study.get_trials(deepcopy=False)
    if number < len(trials):
        return trials[number]
    values = asker.ask(number, trials[:start], trials[start:number])
    return begin_trial(study, values, asker.distributions)


class _Loop:
    """Launches the trials of a batch and tells the journal how they ended."""

    def __init__(self, driver: Driver, study: Study, fixed: list[str], axes: list[Axis]) -> None:
        self.driver, self.sweep, self.study = driver, driver.sweep, study
        self.fixed, self.axes = fixed, axes

    def batch(self, trials: Sequence[FrozenTrial]) -> None:
        """Run the trials' jobs; where a trial may be ended early, its first seed runs alone at first."""
        seeds: tuple[int | None, ...] = self.sweep.seeds or (None,)
        first = len(seeds) if self.sweep.pruner == "none" else 1
        jobs = {trial.number: [self._job(trial, seed) for seed in seeds[:first]] for trial in trials}
        self._launch(jobs)
        going = [trial for trial in trials if state_of(self._run(jobs[trial.number][0])) == "finished"]
        if seeds[first:] and not self.driver.stopped:
            for trial in going:
                jobs[trial.number] += [self._job(trial, seed) for seed in seeds[first:]]
            self._launch({trial.number: jobs[trial.number][first:] for trial in going})
        for trial in trials:
            if not trial.state.is_finished():
                self._tell(trial, jobs[trial.number], len(seeds))

    def _job(self, trial: FrozenTrial, seed: int | None) -> Job:
        words = [*self.fixed, *job_words(self.axes, trial.params)]
        first = seed is None or seed == self.sweep.seeds[0]
        return self.driver.add(
            words, trial=trial.number, seed=seed, reports=first and self.sweep.pruner != "none"
        )

    def _launch(self, jobs: Mapping[int, Sequence[Job]]) -> None:
        self.driver.save()
        self.driver.launch([job for own in jobs.values() for job in own])

    def _run(self, job: Job) -> Path:
        return self.driver.directory / job.directory

    def _tell(self, trial: FrozenTrial, jobs: Sequence[Job], wanted: int) -> None:
        """Note how a trial ended; one that failed stays open, so that the next issue repeats it."""
        states = [state_of(self._run(job)) for job in jobs]
        if "pruned" in states:
            reports = self.study.get_trials(deepcopy=False)[trial.number].intermediate_values
            end_trial(self.study, trial, TrialState.PRUNED, [reports[max(reports)]] if reports else None)
            return
        if len(jobs) < wanted or not all(state == "finished" for state in states):
            return
        found = [value_of(self._run(job), self.sweep.objectives) for job in jobs]
        figures = [values for values in found if values is not None]
        if len(figures) < wanted:
            end_trial(self.study, trial, TrialState.FAIL, None)
            return
        means = [mean(column) for column in zip(*figures, strict=True)]
        attrs = (
            {"interval": [[item.low, item.high] for item in means], "seeds": figures} if wanted > 1 else {}
        )
        end_trial(self.study, trial, TrialState.COMPLETE, [item.value for item in means], **attrs)
