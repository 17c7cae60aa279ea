"""What is written before the fit, so that a killed run can be resumed, and after it, so that it can be believed."""

from __future__ import annotations

import shutil
from typing import Any

from omegaconf import OmegaConf
from pytorch_lightning import Trainer

from llm_lab.baselines.evaluate import evaluate_baselines
from llm_lab.config.secrets import storable
from llm_lab.data.module import DataModule
from llm_lab.data.spec import DataSpec
from llm_lab.modes.run import CONFIG, Run
from llm_lab.tasks.task import Task
from llm_lab.tracking import (
    describe,
    locations,
    manifest,
    print_summary,
    publish,
    read_history,
    write_model_card,
    write_report,
)
from llm_lab.tracking.files import write_text
from llm_lab.tracking.ledger import Ledger

Metrics = dict[str, Any]


def begin(run: Run, data: DataModule, spec: DataSpec) -> None:
    """Store the resolved config, the evidence and the rejected rows; tell the trackers."""
    stored = storable(run.config)
    write_text(run.directory / CONFIG, OmegaConf.to_yaml(OmegaConf.create(stored)))
    run.note(evidence=manifest(run.config, fingerprint=spec.fingerprint, words=run.state.get("words", ())))
    if data.rejected is not None:
        shutil.copyfile(data.rejected, run.directory / "rejected.jsonl")
    describe(run.loggers, config=stored, manifest=run.state["evidence"])


def finish(
    run: Run, *, trainer: Trainer, task: Task, data: DataModule, ledger: Ledger, metrics: Metrics
) -> Metrics:
    """Measure the baselines, write metrics and report, publish them, and print the table."""
    mode, spec = run.config.mode, data.spec
    if mode.baseline and task.predictions:
        with ledger.phase("baseline"):
            metrics |= evaluate_baselines(
                run.config.baseline, data=data, spec=spec, metrics=run.config.task.metrics
            )
    metrics |= ledger.figures() | {
        "run/steps": trainer.global_step,
        "run/epochs": trainer.current_epoch,
        "run/world_size": trainer.world_size,
        "run/strategy": type(trainer.strategy).__name__,
        "run/precision": str(trainer.precision),
    }
    history = read_history(run.directory / "history.jsonl")
    stored = storable(run.config)
    write_report(
        run.directory,
        config=stored,
        metrics=metrics,
        history=history,
        predictions=task.predictions,
        rows=data.rows,
        spec=spec,
        manifest=run.state["evidence"],
        pages=mode.report,
    )
    write_model_card(run.model, config=stored, metrics=metrics, spec=spec)
    publish(run.loggers, metrics=metrics, report=run.directory / "report.html")
    print_summary(
        metrics,
        expected=stored.get("expected"),
        places={"model": run.model, "report": run.directory / "report.html"} | locations(run.loggers),
    )
    return metrics
