"""Test a run's artifact again, on its own data or on other data."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer
from rich.console import Console

from llm_lab.config import build
from llm_lab.config.unknown import propose
from llm_lab.config.words import Words
from llm_lab.data.module import DataModule
from llm_lab.errors import ConfigError, RunError
from llm_lab.modes.quiet import hush
from llm_lab.modes.run import MODEL, stored_config
from llm_lab.modes.train import build_task
from llm_lab.modes.trainer import precision_of, use_processor
from llm_lab.tracking.files import write_json
from llm_lab.tracking.summary import summary_table


def evaluate(directory: Path, overrides: list[str]) -> dict[str, Any]:
    """Return the test metrics of the run's saved model; also kept in ``evaluations/`` of the run.

    Args:
        directory: a run directory with an artifact.
        overrides: values of the stored config to change, ``data.source=file://other.csv`` say.

    Raises:
        RunError: no artifact, or its labels are not those of the data.
        ConfigError: an override names no key of the stored config.
    """
    config = _overridden(stored_config(directory), overrides)
    if not (directory / MODEL / "config.json").is_file():
        raise RunError(f"{directory} has no model yet; `llm_lab resume {directory}` finishes the run")
    hush(log_file=False)
    use_processor()
    data = build(config.data, expected=DataModule, key="data")
    spec = data.prepare()
    if not spec.sizes.get("test"):
        raise RunError(f"{directory}: the data has no test split to evaluate on")
    config.model = {**_artifact(directory)}
    task = build_task(config, spec)
    trainer = Trainer(
        precision=precision_of(config.trainer),  # type: ignore[arg-type]
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        accelerator=config.trainer.accelerator,
        devices=1,
    )
    trainer.test(task, data, verbose=False)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    _keep(directory, overrides, metrics)
    return metrics


def _artifact(directory: Path) -> dict[str, Any]:
    """The model node of the saved folder: its weights and tokenizer, wrappers already merged."""
    return {
        "_target_": "llm_lab.models.text.pretrained",
        "source": str((directory / MODEL).resolve()),
        "wrappers": {},
    }


def _overridden(config: DictConfig, overrides: list[str]) -> DictConfig:
    for word in overrides:
        key, _, value = word.lstrip("+").partition("=")
        parent, _, name = key.rpartition(".")
        holder = OmegaConf.select(config, parent) if parent else config
        if not isinstance(holder, DictConfig) or name not in holder:
            near = propose(config, key)
            raise ConfigError(
                f"{key}: the stored config of the run has no such key" + (f"; {near}" if near else "")
            )
        OmegaConf.update(config, key, OmegaConf.create(f"v: {value}").v)
    return config


def _keep(directory: Path, overrides: list[str], metrics: dict[str, Any]) -> None:
    folder = directory / "evaluations"
    folder.mkdir(exist_ok=True)
    name = time.strftime("%Y-%m-%d_%H-%M-%S")
    write_json(folder / f"{name}.json", {"words": overrides, "metrics": metrics})


def main(words: Words) -> int:
    """`llm_lab evaluate RUN [key=value ...]`."""
    metrics = evaluate(Path(words.positionals[0]), list(words.overrides))
    Console().print(summary_table(metrics, {}))
    return 0
