"""Starts the jobs of a sweep that are missing, through whatever launcher, and sees how each ended."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from llm_lab.config.check import check
from llm_lab.config.compose import compose
from llm_lab.config.recall import recall, remember
from llm_lab.config.secrets import masker
from llm_lab.errors import Interrupted, RunError
from llm_lab.modes.run import read_state
from llm_lab.sweeps.context import Context
from llm_lab.sweeps.failures import KILLED, describe_death, is_held, record
from llm_lab.sweeps.jobs import STOP, outcome, say
from llm_lab.sweeps.launchers import environment
from llm_lab.sweeps.record import DONE, FILE, Job, Sweep, state_of

SEED = "seed"


class Driver:
    """The jobs of one sweep directory.

    Args:
        context: what the plugin hands on.
        sweep: what the directory is to hold.
    """

    def __init__(self, context: Context, sweep: Sweep) -> None:
        self.context, self.sweep = context, sweep
        self.hydra: DictConfig = context.config.hydra
        self.directory = Path(str(self.hydra.sweep.dir)).absolute()
        self._numbered = "job." in str(OmegaConf.to_container(self.hydra.sweep, resolve=False)["subdir"])  # type: ignore[index,call-overload]
        self._launcher: Any = None
        self._deaths: dict[str, int] = {}
        self._shown: dict[Job, Job] = {}

    def add(self, words: Sequence[str], *, trial: int, seed: int | None = None, reports: bool = False) -> Job:
        """Compose and check one more job; its directory is known from then on.

        Raises:
            FaultsError: the words do not compose, or to something that is wrong.
        """
        if seed is not None:
            words = [*(word for word in words if word.partition("=")[0] != SEED), f"{SEED}={seed}"]
        every = [*self.hydra.overrides.hydra, *words]
        composed = recall(words) or check(compose(every, config_name=self.hydra.job.config_name))
        remember(composed)
        seeds, config = self.sweep.seeds, composed.config
        number = trial if seed is None else trial * len(seeds) + seeds.index(seed)
        OmegaConf.update(config, "hydra.job.num", number, force_add=True)
        folder = str(OmegaConf.select(config, "hydra.sweep.subdir"))
        typed = tuple(word for word in composed.overrides if not word.startswith("hydra"))
        job = Job(number=number, trial=trial, seed=seed, words=typed, directory=folder, reports=reports)
        self.sweep.jobs.append(job)
        self._shown[job] = replace(job, words=tuple(map(masker(config), typed)))
        return job

    def save(self) -> None:
        """Write ``sweep.json``, without the secrets in the words of its jobs."""
        jobs = [self._shown.get(job, job) for job in self.sweep.jobs]
        replace(self.sweep, jobs=jobs).write(self.directory)

    def launch(self, jobs: Sequence[Job], *, at_once: int | None = None) -> None:
        """Run those of the jobs that are not done, and return when each has ended; failures are on record.

        Args:
            jobs: known to ``sweep.json``.
            at_once: how many the launcher gets at a time; None is all.

        Raises:
            Interrupted: a job was stopped by Ctrl-C.
            RunError: the launcher could not start any job.
        """
        waiting = self._missing(jobs)
        while waiting and not self.stopped:
            before = [self._mark(job) for job in waiting]
            error = self._round(waiting, at_once)
            begun = [job for job, mark in zip(waiting, before, strict=True) if self._mark(job) != mark]
            self._bury(begun, error)
            if any(state_of(self.directory / job.directory) == "interrupted" for job in begun):
                raise Interrupted
            if not begun and error is None:
                return
            if not begun:
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise RunError(f"the launcher could not start a job: {first}") from error
            waiting = [job for job in waiting if job not in begun or self._again(job)]

    def _mark(self, job: Job) -> tuple[object, ...]:
        """What changes as soon as a job is at work: states that an earlier issue left are no news."""
        state = read_state(self.directory / job.directory)
        return tuple(state.get(name) for name in ("state", "process", "started", "ended"))

    @property
    def stopped(self) -> bool:
        """Whether no further job is to be started."""
        return (self.directory / STOP).exists()

    def _missing(self, jobs: Sequence[Job]) -> list[Job]:
        """One job per directory that is not done; one at which an orphan is still at work is waited for."""
        unique = {job.directory: job for job in reversed(jobs)}
        missing = []
        for folder, job in reversed(unique.items()):
            run = self.directory / folder
            if is_held(run):
                say(f"waiting for process {read_state(run).get('process')}, which is at work in {run}")
                with FileLock(run / ".lock"):
                    pass
            if state_of(run) not in DONE:
                missing.append(job)
        return missing

    def _round(self, jobs: Sequence[Job], at_once: int | None) -> Exception | None:
        """Give the jobs to the launcher; what it raised, if anything."""
        if self._launcher is None:
            self._launcher = Plugins.instance().instantiate_launcher(
                hydra_context=self.context.hydra,
                task_function=self.context.task,
                config=self.context.config,
            )
        with environment(self.hydra.launcher, len(jobs)) as together:
            size = at_once or (
                together if "LocalLauncher" in str(self.hydra.launcher._target_) else len(jobs)
            )
            for batch in self._batches(jobs, size):
                try:
                    self._launcher.launch([job.words for job in batch], initial_job_idx=batch[0].number)
                except Exception as error:  # noqa: BLE001 - a job's process died, or the launcher's backend
                    return error
        return None

    def _batches(self, jobs: Sequence[Job], size: int) -> Iterator[list[Job]]:
        """The jobs in the parts that are launched together; where folders are numbered, in unbroken rows."""
        rows: list[list[Job]] = [list(jobs)]
        if self._numbered:
            keyed = itertools.groupby(enumerate(jobs), key=lambda pair: pair[1].number - pair[0])
            rows = [[job for _, job in group] for _, group in keyed]
        for row in rows:
            yield from (row[start : start + size] for start in range(0, len(row), size))

    def _bury(self, jobs: Sequence[Job], error: Exception | None) -> None:
        """Record the jobs whose process is gone; those that go on without the launcher are waited for."""
        for job in jobs:
            run = self.directory / job.directory
            if state_of(run) != "running":
                continue
            with FileLock(run / ".lock"):
                pass
            if state_of(run) == "running":
                death = describe_death(error)
                record(run, death)
                self._deaths[job.directory] = self._deaths.get(job.directory, 0) + (death["kind"] == KILLED)
                say(f"[{job.number + 1}/{self.sweep.total}] {outcome(run, self.sweep)}")

    def _again(self, job: Job) -> bool:
        """Whether the job is to be repeated: its process died."""
        retries = self.sweep.retries if self.sweep.on_failure == "retry" else 0
        failed = state_of(self.directory / job.directory) == "failed"
        return failed and 0 < self._deaths.get(job.directory, 0) <= retries


@contextmanager
def open_sweep(context: Context, sweep: Sweep) -> Iterator[Driver]:
    """Hold the sweep's directory; on every way out write the table, end Hydra's callbacks, name the failures.

    Raises:
        RunError: another process is running this sweep, or jobs have failed.
        Interrupted: Ctrl-C; the same command goes on.
    """
    driver = Driver(context, sweep)
    driver.directory.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(driver.directory / ".sweeper.lock", timeout=0):
            (driver.directory / STOP).unlink(missing_ok=True)
            try:
                yield driver
            finally:
                _write_report(driver)
            _finish(driver)
    except Timeout:
        raise RunError(f"{driver.directory}: another process is running this sweep") from None
    except BaseException as error:
        context.hydra.callbacks.on_multirun_end(config=context.config, config_name=None)
        if isinstance(error, Interrupted | KeyboardInterrupt):
            raise Interrupted("interrupted; the same command goes on") from None
        raise


def _write_report(driver: Driver) -> None:
    """The table and the page, where any job has been known."""
    if (driver.directory / FILE).is_file() and driver.sweep.jobs:
        from llm_lab.sweeps.report import write_sweep

        write_sweep(driver.directory)


def _finish(driver: Driver) -> None:
    """Name the jobs that failed."""
    failed = [job for job in driver.sweep.jobs if state_of(driver.directory / job.directory) == "failed"]
    if failed:
        lines = [f"  {_label(driver, job)}" for job in failed]
        many = f"{len(failed)} of {driver.sweep.total} jobs failed; the same command runs them again"
        raise RunError("\n".join([many, *lines]))


def _label(driver: Driver, job: Job) -> str:
    run = driver.directory / job.directory
    return f"{' '.join(job.swept(driver.sweep.keys)) or job.directory}: {outcome(run, driver.sweep)} ({run})"
