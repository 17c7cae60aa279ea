"""What is written before the fit, so that a killed run can be resumed, and after it, so that it can be believed."""

from __future__ import annotations

import logging
import shutil
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from pytorch_lightning import Trainer
from rich.console import Console

from llm_lab.baselines.another_run import AnotherRun
from llm_lab.baselines.baseline import Baseline
from llm_lab.baselines.evaluate import evaluate_baselines
from llm_lab.config import build_all
from llm_lab.config.secrets import storable
from llm_lab.data.module import DataModule
from llm_lab.errors import RunError
from llm_lab.launch.place import placed
from llm_lab.modes.run import CONFIG, Run
from llm_lab.results.difference import Difference, differences, flat_gaps, gap_rows
from llm_lab.results.rows import FILE, write_rows
from llm_lab.sweeps.record import sweep_of
from llm_lab.tasks.task import Task
from llm_lab.tracking.curves import read_history
from llm_lab.tracking.evidence import manifest
from llm_lab.tracking.files import write_json, write_text
from llm_lab.tracking.ledger import Ledger
from llm_lab.tracking.model_card import write_model_card
from llm_lab.tracking.report import HTML, METRICS, flat_metrics, write_report
from llm_lab.tracking.scores import arrays
from llm_lab.tracking.summary import places_table, summary_table
from llm_lab.tracking.trackers import describe, locations, publish

Metrics = dict[str, Any]
log = logging.getLogger(__name__)


def begin(run: Run, data: DataModule) -> None:
    """Store the resolved config, the evidence and the rejected rows; tell the trackers."""
    stored = storable(run.config)
    write_text(run.directory / CONFIG, OmegaConf.to_yaml(OmegaConf.create(stored)))
    words = run.state.get("words", ())
    run.note(evidence=manifest(run.config, fingerprint=data.spec.fingerprint, words=words))
    if data.rejected is not None:
        shutil.copyfile(data.rejected, run.directory / data.rejected.name)
    describe(run.loggers, config=stored, manifest=run.state["evidence"])


def finish(
    run: Run, *, trainer: Trainer, task: Task, data: DataModule, ledger: Ledger, metrics: Metrics
) -> Metrics:
    """Measure the baselines, write metrics and report, publish them, print the table; return the flat metrics."""
    baselines = _baselines(run, data, ledger, tested=any(name.startswith("test/") for name in metrics))
    if task.row_scores:
        write_rows(run.directory, task.row_scores, metrics=metrics, rows=data.rows("test"))
    gaps = _differences(run) if baselines else {}
    metrics = metrics | {key: value for name, some in gaps.items() for key, value in flat_gaps(name, some)}
    tables = {f"Difference to `{name}`": gap_rows(some) for name, some in gaps.items()}
    facts = {
        "run/steps": trainer.global_step,
        "run/epochs": trainer.current_epoch,
        "run/world_size": trainer.world_size,
        "run/strategy": _strategy(run, trainer),
        "run/precision": str(trainer.precision),
    }
    stored = storable(run.config)
    evidence: dict[str, Any] = {
        "metrics": metrics | facts | (task.parallel.facts() if task.parallel else {}),
        "spec": data.spec,
        "predictions": task.predictions or None,
        "baselines": baselines,
        "ledger": ledger.figures(),
    }
    found = arrays(task.predictions) if task.predictions else None
    flat = flat_metrics(**evidence | {"predictions": found})
    if run.config.mode.report:
        history = read_history(run.directory / "history.jsonl")
        rows = data.rows("test")
        write_report(
            run.directory,
            config=stored,
            history=history,
            rows=rows,
            manifest=run.state["evidence"],
            tables={**tables, **task.tables},
            pictures=task.pictures,
            **evidence,
        )
        write_model_card(
            run.model,
            config=stored,
            metrics=flat,
            spec=data.spec,
            baselines=baselines,
            manifest=run.state["evidence"],
        )
    write_json(run.directory / METRICS, flat)
    publish(run.loggers, metrics=flat, report=run.directory / HTML)
    if not (
        sweep_of(run.directory) and (HydraConfig.initialized() or placed())
    ):  # a sweep tells it in one line
        _print(run, flat, baselines, stored)
        for name, some in gaps.items():
            print("\n".join(f"difference to {name}: {gap}" for gap in some))
    return flat


def _strategy(run: Run, trainer: Trainer) -> str:
    """The strategy as users choose it; for ``auto``, which leaves it to Lightning, what Lightning takes."""
    chosen = run.state.get("strategy") or "auto"
    return str(chosen) if chosen != "auto" else "ddp" if trainer.world_size > 1 else "single_device"


def _baselines(run: Run, data: DataModule, ledger: Ledger, *, tested: bool) -> dict[str, float]:
    """Measure the simple things on the rows that the model was tested on."""
    if not (run.config.mode.baseline and run.config.get("baseline") and tested):
        return {}
    with ledger.phase("baseline"):
        nodes, metrics = run.config.baseline, run.config.task.metrics
        return evaluate_baselines(nodes, data=data, spec=data.spec, metrics=metrics)


def _differences(run: Run) -> dict[str, list[Difference]]:
    """How far this run is above each run that is a baseline of it, by its name; one on other rows is told."""
    if not (run.directory / FILE).is_file():
        return {}
    built = build_all(run.config.baseline, expected=Baseline, key="baseline")
    others = {name: one.directory for name, one in built.items() if isinstance(one, AnotherRun)}
    found = {}
    for name, other in others.items():
        try:
            found[name] = differences([run.directory], [other])
        except RunError as error:  # the figures stand without it
            log.warning("no difference to `%s`: %s", name, error)
    return found


def _print(run: Run, metrics: Metrics, baselines: dict[str, float], stored: dict[str, Any]) -> None:
    places = {"model": run.model} | ({"report": run.directory / HTML} if run.config.mode.report else {})
    console = Console()
    console.print(summary_table(metrics, baselines, stored.get("expected"), run.state.get("words", ())))
    console.print(places_table({**places, **locations(run.loggers)}))
