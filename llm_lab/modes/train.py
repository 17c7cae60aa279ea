"""Train, test, save, report."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.loggers import Logger

from llm_lab.callbacks.pruning import pruning_of
from llm_lab.config import build, build_all
from llm_lab.data.module import DataModule
from llm_lab.data.spec import DataSpec
from llm_lab.errors import Interrupted, InterruptedLearning
from llm_lab.launch.meeting import Meeting
from llm_lab.modes.checkpoints import best_point, resume_point
from llm_lab.modes.results import begin, finish
from llm_lab.modes.run import Run, open_run
from llm_lab.modes.trainer import build_trainer, use_processor
from llm_lab.strategies.parallel import Parallel
from llm_lab.tasks.task import Task
from llm_lab.tracking.curves import read_history
from llm_lab.tracking.history import History
from llm_lab.tracking.ledger import Ledger

Metrics = dict[str, Any]


def train(
    config: DictConfig, directory: Path, *, facts: dict[str, Any], meeting: Meeting | None = None
) -> Metrics:
    """Train the composed experiment in ``directory``, or go on with it, and return its flat metrics.

    Args:
        config: composed and checked config, without Hydra's node.
        directory: the run directory; a checkpoint in it is resumed.
        facts: hash, name and words of the run, for ``run.json``.
        meeting: this rank among the others; None in a run of one process.
    """
    figures: Metrics = {}  # of a trial that was pruned
    with open_run(config, directory, facts, meeting=meeting) as run:
        seed_everything(config.seed, workers=True, verbose=False)
        use_processor(meeting.place.local_world_size if meeting else 1)
        ledger = Ledger(**config.ledger, file=directory / ledger_of(meeting))
        with ledger.phase("data"), meeting.first_of_node("data") if meeting else nullcontext():
            data = build(config.data, expected=DataModule, key="data")
            spec = data.prepare()
        task = build_task(config, spec)
        task.parallel = build(config.strategy, expected=Parallel, key="strategy")
        trainer = attach(run, task.parallel, spec, ledger)
        if run.leads:
            begin(run, data)
        with meeting.group() if meeting else nullcontext():
            try:
                trainer.fit(task, data, ckpt_path=resume_point(directory), weights_only=True)
            except InterruptedLearning as stop:
                task.save_artifact(run.model)
                raise Interrupted(f"{stop} in {run.model}") from stop
            metrics = _test(run, trainer, task, data)
            task.save_artifact(run.model)
        if meeting:
            ledger.join(meeting.gather("ledger", ledger.state_dict()))
        if not run.leads:
            return metrics
        figures = finish(run, trainer=trainer, task=task, data=data, ledger=ledger, metrics=metrics)
    return figures  # noqa: RET504 - a pruned trial leaves the block above without it


def ledger_of(meeting: Meeting | None) -> str:
    """Name of the file in the run directory where this rank keeps its counts, for a run that goes on later."""
    return "ledger.json" if meeting is None or meeting.leads else f"logs/ledger-{meeting.place.rank}.json"


def build_task(config: DictConfig, spec: DataSpec) -> Task:
    """Build the task over its raw model, optimizer and scheduler nodes; no weight is made yet."""
    return build(
        config.task,
        expected=Task,
        key="task",
        spec=spec,
        model=config.model,
        optimizer=config.get("optimizer"),
        scheduler=config.get("scheduler"),
    )


def attach(run: Run, parallel: Parallel, spec: DataSpec, ledger: Ledger) -> Trainer:
    """Build the trackers, the callbacks and the Trainer of a run.

    Without a validation split there is nothing to monitor: what watches ``val/...`` stays away.
    """
    run.loggers = list(build_all(run.config.get("logger"), expected=Logger, key="logger").values())
    callbacks = [*build_all(run.config.get("callbacks"), expected=Callback, key="callbacks").values()]
    if not spec.sizes.get("val"):
        callbacks = [one for one in callbacks if not str(getattr(one, "monitor", "")).startswith("val/")]
    if not run.config.trainer.enable_progress_bar:
        callbacks = [one for one in callbacks if not isinstance(one, ProgressBar)]
    return build_trainer(
        run,
        parallel,
        [*callbacks, *pruning_of(run.directory), History(path=run.directory / "history.jsonl"), ledger],
    )


def _kept(run: Run) -> Metrics:
    """The last figures that an earlier part of the run logged: one that was over had nothing left to log."""
    rows = read_history(run.directory / "history.jsonl")
    return {name: value for row in rows for name, value in row.items() if name.startswith(("train/", "val/"))}


def _test(run: Run, trainer: Trainer, task: Task, data: DataModule) -> Metrics:
    """Test the best checkpoint; without a test split the metrics of the fit stand alone."""
    fitted = _kept(run) | {name: float(value) for name, value in trainer.callback_metrics.items()}
    best = best_point(run.directory)
    if not (run.config.mode.test and data.spec.sizes.get("test")):
        return fitted
    trainer.test(task, data, ckpt_path=best, weights_only=True, verbose=False)
    return fitted | {name: float(value) for name, value in trainer.callback_metrics.items()}
