"""The study on disk: an append-only journal that any process may write to and a kill cannot break."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from llm_lab.errors import RunError
from llm_lab.sweeps.record import Objective

FILE = "study.journal"
STUDY = "sweep"  # one name everywhere: Hyperband's brackets follow from it
DECIDES = "decides"  # the user attribute that holds digests of what decides the figures
REPORT = "report:"  # user attributes that hold the pruner's answer to one validation
optuna.logging.set_verbosity(optuna.logging.WARNING)


class _Lock(BaseJournalFileLock):
    """Let one process append at a time; the system frees the lock of one that dies.

    Whoever gets it first cuts off the line that a killed writer left unfinished.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = FileLock(file.with_name(f"{file.name}.lock"))

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire()
        _cut_torn_line(self._file)
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()


def _cut_torn_line(file: Path) -> None:
    with file.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        if end == 0:
            return
        stream.seek(end - 1)
        if stream.read(1) == b"\n":
            return
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)


def open_journal(directory: Path, objectives: Sequence[Objective]) -> Study:
    """Open the study of a sweep directory; it is begun where there is none."""
    file = directory / FILE
    storage = JournalStorage(JournalFileBackend(str(file), _Lock(file)))
    return optuna.create_study(
        storage=storage,
        study_name=STUDY,
        directions=[StudyDirection[item.direction.upper()] for item in objectives],
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
        pruner=optuna.pruners.NopPruner(),
    )


def same_search(study: Study, decides: Mapping[str, str], directory: Path) -> None:
    """Make sure that the trials of a study answer the question that is asked now.

    Args:
        study: on disk.
        decides: digests of what decides the figures, by their names; kept with the study when it is begun.
        directory: of the sweep.

    Raises:
        RunError: something else was asked when the study was begun.
    """
    before = study.user_attrs.get(DECIDES)
    if before is None:
        study.set_user_attr(DECIDES, dict(decides))
        return
    other = [name for name in sorted({*before, *decides}) if before.get(name) != decides.get(name)]
    if other:
        raise RunError(
            f"{directory} holds trials of another search: {', '.join(other)} changed since; "
            f"begin a new one with hydra.sweep.dir={directory}-2"
        )


def copy_in_memory(study: Study, **parts: Any) -> Study:
    """An empty study like this one that nothing on disk knows of: to ask samplers and pruners without a trace.

    Args:
        study: the study on disk.
        parts: ``sampler`` and ``pruner`` of the copy.
    """
    return optuna.create_study(
        storage=InMemoryStorage(), study_name=STUDY, directions=study.directions, **parts
    )


def add(study: Study, trial: FrozenTrial, notes: Mapping[str, Any] | None = None) -> int:
    """Add a trial to a copy, with what samplers and pruners noted about it; returns its id there."""
    trial = copy.copy(trial)
    trial.system_attrs = {**trial.system_attrs, **notes_of(trial), **(notes or {})}
    return study._storage.create_new_trial(study._study_id, template_trial=trial)  # noqa: SLF001


def notes_of(trial: FrozenTrial) -> dict[str, Any]:
    """What a pruner noted about a trial at all its validations."""
    reports = [value for key, value in trial.user_attrs.items() if key.startswith(REPORT)]
    return {key: value for report in reports for key, value in report["notes"].items()}


def begin_trial(
    study: Study, values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution], **attrs: Any
) -> FrozenTrial:
    """Note a trial with its values as one line of the journal: it is there as a whole, or not at all."""
    template = create_trial(
        state=TrialState.RUNNING, params=dict(values), distributions=dict(distributions), user_attrs=attrs
    )
    storage = study._storage  # noqa: SLF001 - only so are the values in the same line
    return storage.get_trial(storage.create_new_trial(study._study_id, template_trial=template))  # noqa: SLF001


def end_trial(
    study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None, **attrs: Any
) -> None:
    """Note how a trial ended."""
    for key, value in attrs.items():
        study._storage.set_trial_user_attr(trial._trial_id, key, value)  # noqa: SLF001
    study._storage.set_trial_state_values(trial._trial_id, state, values)  # noqa: SLF001
