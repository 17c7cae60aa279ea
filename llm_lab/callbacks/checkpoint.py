"""Checkpoints that survive a kill at any moment and load with ``weights_only=True``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning_fabric.utilities.types import _PATH
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

FOLDER = "checkpoints"


def validation_follows(trainer: Trainer) -> bool:
    """Whether a validation is due after this batch: Lightning leaves it out of a run resumed from before it."""
    loop = trainer.fit_loop
    fetcher = loop._data_fetcher  # noqa: SLF001 - nothing public tells that a validation is due
    return fetcher is not None and loop.epoch_loop._should_check_val_fx(fetcher)  # noqa: SLF001


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write beside the target, flush to disk, rename: a reader sees a whole checkpoint or none.

    Lightning's own writer goes through the system's temporary folder, which may be another file system.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None
    ) -> None:
        """Save to ``path`` under a temporary name first."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)


class _InRunDirectory(ModelCheckpoint):
    """Keeps its files in ``<run>/checkpoints``, wherever the run directory lies today."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Point at the run directory before Lightning asks for a logger's folder."""
        self.dirpath = str(Path(trainer.default_root_dir) / FOLDER)
        super().setup(trainer, pl_module, stage)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what an earlier part of the run saved, even where its folder was moved since."""
        folder = Path(str(self.dirpath))
        moved = {key: _moved(value, folder) for key, value in state_dict.items()}
        super().load_state_dict(moved | {"dirpath": str(folder)})


def _moved(value: Any, folder: Path) -> Any:
    if isinstance(value, str) and value.endswith(".ckpt"):
        return str(folder / Path(value).name)
    if isinstance(value, dict):
        return {_moved(key, folder): item for key, item in value.items()}
    return value


class BestCheckpoint(_InRunDirectory):
    """The weights that were best by a validation metric.

    Args:
        monitor: logged name, e.g. ``val/loss``.
        mode: ``min`` or ``max``.
    """

    def __init__(self, *, monitor: str, mode: str = "min") -> None:
        super().__init__(
            filename="best-{step}",
            monitor=monitor,
            mode=mode,
            save_weights_only=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )


class ResumeCheckpoint(_InRunDirectory):
    """Everything needed to go on, at even distances; the newest few are kept in case the last is torn.

    Args:
        interval: distance between checkpoints as a fraction of the run's optimizer steps.
        keep: how many of the newest to keep.
    """

    def __init__(self, *, interval: float = 0.25, keep: int = 2) -> None:
        self.interval = interval
        self._waits = self._ended = False
        super().__init__(
            filename="step-{step}",
            monitor="step",
            mode="max",
            save_top_k=keep,
            every_n_train_steps=1,
            save_on_train_epoch_end=True,  # else Lightning puts off what falls on the end of an epoch, see below
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )

    @property
    def state_key(self) -> str:
        """A name that does not change with the interval, so that a resumed run may save more often."""
        return "ResumeCheckpoint"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Turn the fraction into steps, now that the length of the run is known."""
        steps = trainer.estimated_stepping_batches
        self._every_n_train_steps = max(1, round(self.interval * steps))
        trainer.should_stop = trainer.should_stop or self._ended
        super().on_train_start(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *batch: Any) -> None:
        """Save, but after the validation where one follows."""
        self._waits = validation_follows(trainer)
        if not self._waits:
            super().on_train_batch_end(trainer, pl_module, *batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what waited for the validation."""
        if self._waits:
            self._waits, self._ended = False, trainer.should_stop
            super().on_train_batch_end(trainer, pl_module, None, None, 0)

    def state_dict(self) -> dict[str, Any]:
        """Whether the run was over beside Lightning's own: a run that stopped early does not go on."""
        return {**super().state_dict(), "ended": self._ended}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over where the run stood."""
        state = dict(state_dict)
        self._ended = bool(state.pop("ended", False))
        super().load_state_dict(state)
