"""Whether a trial is worth going on, asked by its own run, which may be in any process."""

from __future__ import annotations

from pathlib import Path

from llm_lab.sweeps.journal import REPORT, add, copy_in_memory, notes_of, open_journal
from llm_lab.sweeps.record import Sweep
from llm_lab.sweeps.samplers import pruner_of


class Judge:
    """The pruner of a sweep for one of its trials.

    Args:
        folder: of the sweep.
        trial: its number.
    """

    def __init__(self, folder: Path, trial: int) -> None:
        sweep = Sweep.read(folder)
        self.metric = sweep.objectives[0].metric
        self._number = trial
        self._study = open_journal(folder, sweep.objectives)
        self._pruner = pruner_of(sweep.pruner, sweep.settings)

    def is_out(self, part: int, value: float) -> bool:
        """Report the objective after some parts of the run; whether the run is to end here.

        The answer and what the pruner noted become one line of the journal, so a run that was killed around
        this moment gets the same answer when it comes here again.
        """
        key, storage = f"{REPORT}{part}", self._study._storage  # noqa: SLF001
        mine = self._study.get_trials(deepcopy=False)[self._number]
        if key in mine.user_attrs:
            return bool(mine.user_attrs[key]["out"])
        if mine.state.is_finished():
            return False
        storage.set_trial_intermediate_value(mine._trial_id, part, value)  # noqa: SLF001
        copied = copy_in_memory(self._study, pruner=self._pruner)
        for trial in self._study.get_trials(deepcopy=False):
            add(copied, trial)
        own = copied.get_trials(deepcopy=False)[self._number]
        before = set(notes_of(mine))
        out = self._pruner.prune(copied, own)
        after = copied.get_trials(deepcopy=False)[self._number].system_attrs
        notes = {name: note for name, note in after.items() if name not in before}
        storage.set_trial_user_attr(mine._trial_id, key, {"out": out, "notes": notes})  # noqa: SLF001
        return out
