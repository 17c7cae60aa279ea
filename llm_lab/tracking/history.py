"""Learning curves: every row that the trackers get, kept in the run directory as it comes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers.logger import Logger

from llm_lab.tracking.curves import rewind
from llm_lab.tracking.files import plain


class History(Callback):
    """Writes ``history.jsonl``: one JSON object a line with ``step``, ``epoch`` and the logged metrics.

    Each row reaches the file when it is logged, so a killed run keeps its curves. A resumed run first drops
    the rows beyond the step it starts from, since they will be made again.

    Args:
        path: the file, in the run directory.
    """

    def __init__(self, *, path: Path) -> None:
        self.path = Path(path)
        self._logger = _RowLogger(self.path)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stand beside the run's trackers, so as to get exactly what they get."""
        if self._logger not in trainer.loggers:
            trainer.loggers = [*trainer.loggers, self._logger]

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop what an earlier part of the run logged after the step that this part starts from."""
        rewind(self.path, step=trainer.global_step)


class _RowLogger(Logger):
    """Appends rows; Lightning calls it on rank 0 at the logging steps."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @property
    def name(self) -> str:
        return "history"

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self._path.parent)

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Hyper-parameters are in ``config.yaml``."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = plain({"step": step, **metrics})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, allow_nan=False) + "\n")
