"""`sweep.json`: what a sweep is and which jobs it has, for the jobs themselves, the table and the next issue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from llm_lab.errors import RunError
from llm_lab.modes.run import read_state
from llm_lab.tracking.files import write_json

FILE = "sweep.json"
LEVELS = 3  # a job's folder lies so many levels below its sweep's at most
DONE = ("finished", "pruned")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What jobs are compared by: a key of ``metrics.json`` and ``minimize`` or ``maximize``."""

    metric: str
    direction: str

    @property
    def mode(self) -> str:
        """``min`` or ``max``, as Lightning says it."""
        return self.direction[:3]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a sweep.

    Attributes:
        number: its place in the sweep, from 0.
        trial: jobs of one trial differ in their seed only.
        seed: its seed where seeds are a dimension of the sweep, else None.
        words: the words that compose it.
        directory: its run directory, relative to the sweep's.
        reports: its validations are compared with other trials', which may end it early.
    """

    number: int
    trial: int
    seed: int | None = None
    words: tuple[str, ...] = ()
    directory: str = ""
    reports: bool = False

    def swept(self, keys: Sequence[str]) -> list[str]:
        """The words of its swept keys and its seed, without plus signs."""
        bare = [word.lstrip("+") for word in self.words]
        shown = (*keys, "seed") if self.seed is not None else keys
        return [word for word in bare if word.partition("=")[0] in shown]


@dataclass(kw_only=True)
class Sweep:
    """What a sweep directory is; the jobs are those known so far.

    Attributes:
        name: of the experiment.
        words: as typed, without those that differ from job to job.
        sampler: ``grid``, or what chose the values.
        pruner: how trials are ended early: ``none``, ``median``, ``asha``, ``hyperband``.
        objectives: what jobs are compared by, the first one first.
        keys: what is swept over.
        seeds: with which every trial is run; empty where seeds are no dimension.
        trials: how many trials the sweep is to have.
        settings: of the pruner.
        on_failure: what becomes of the sweep when a job fails.
        retries: how often a failed job is repeated.
    """

    name: str
    words: tuple[str, ...] = ()
    sampler: str = "grid"
    pruner: str = "none"
    objectives: tuple[Objective, ...] = ()
    keys: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    trials: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    on_failure: str = "skip"
    retries: int = 0
    jobs: list[Job] = field(default_factory=list)

    def write(self, directory: Path) -> None:
        """Write ``sweep.json``, which is never seen half-written."""
        directory.mkdir(parents=True, exist_ok=True)
        write_json(directory / FILE, asdict(self))

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read ``sweep.json``.

        Raises:
            RunError: it is not there, or not what we wrote.
        """
        path = directory / FILE
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            known = {item.name for item in fields(cls)}
            given: dict[str, Any] = {
                key: tuple(value) if key in TUPLES else value for key, value in raw.items() if key in known
            }
            given["objectives"] = tuple(Objective(**item) for item in given.get("objectives", ()))
            given["jobs"] = [Job(**item | {"words": tuple(item["words"])}) for item in given.get("jobs", ())]
            return cls(**given)
        except FileNotFoundError:
            raise RunError(f"{directory} is not a sweep directory: it has no {FILE}") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RunError(f"{path} is not the record of a sweep: {error}") from None

    @property
    def total(self) -> int:
        """How many jobs there are to be."""
        return self.trials * max(1, len(self.seeds))

    def job_in(self, directory: str) -> Job | None:
        """The first job with this directory; trials with the same values share one."""
        return next((job for job in self.jobs if job.directory == directory), None)


TUPLES = ("words", "keys", "seeds")


def sweep_of(run: Path) -> tuple[Path, Job] | None:
    """The sweep directory that a run directory is a job of, and the job; None for a run by itself."""
    run = run.absolute()
    for folder in run.parents[:LEVELS]:
        if (folder / FILE).is_file():
            job = Sweep.read(folder).job_in(str(run.relative_to(folder)))
            return None if job is None else (folder, job)
    return None


def state_of(directory: Path) -> str:
    """How a job's run stands: ``finished``, ``pruned``, ``failed``, ``interrupted``, ``running``, or empty."""
    return str(read_state(directory).get("state", ""))


def value_of(directory: Path, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """The figures that a finished run is compared by; None where one of them is missing."""
    path = directory / "metrics.json"
    if not path.is_file():
        return None
    metrics = json.loads(path.read_text(encoding="utf-8"))
    values = [metrics.get(item.metric) for item in objectives]
    if not all(isinstance(value, int | float) for value in values):
        return None
    return tuple(float(value) for value in values)
