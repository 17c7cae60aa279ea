"""End a trial early where its validations say that it is not worth going on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from llm_lab.errors import Pruned
from llm_lab.sweeps.options import PARTS

if TYPE_CHECKING:
    from llm_lab.sweeps.pruning import Judge


class Pruning(Callback):
    """Reports the objective at each validation to the sweep's study and stops where its pruner says so.

    Not a choice of any config: a run finds it by lying in the directory of a sweep that prunes.

    Args:
        folder: of the sweep.
        trial: the number of the trial that this run is.
    """

    def __init__(self, *, folder: Path, trial: int) -> None:
        self._folder, self._trial = folder, trial
        self._judge: Judge | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report; the answer of rank 0 counts for all.

        Raises:
            Pruned: the trial is not worth going on.
        """
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        part = round(PARTS * trainer.global_step / trainer.estimated_stepping_batches)
        stop = trainer.is_global_zero and 0 < part < PARTS and self._should_stop(trainer, part)
        if trainer.strategy.broadcast(stop, src=0):
            raise Pruned(f"pruned at step {trainer.global_step}")

    def _should_stop(self, trainer: Trainer, part: int) -> bool:
        if self._judge is None:
            from llm_lab.sweeps.pruning import Judge  # Optuna, which only a sweep needs

            self._judge = Judge(self._folder, self._trial)
        value = trainer.callback_metrics.get(self._judge.metric)
        return value is not None and self._judge.is_out(part, float(value))


def pruning_of(run: Path) -> list[Callback]:
    """The callback for a run that is a job of a pruning sweep; none for any other."""
    from llm_lab.sweeps.record import sweep_of

    found = sweep_of(run)
    if found is None or not found[1].reports:
        return []
    return [Pruning(folder=found[0], trial=found[1].trial)]
