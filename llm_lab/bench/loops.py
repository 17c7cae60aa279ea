"""Two loops over the same composed job, in this process: Lightning's with our task, and a bare one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger
from torch import nn
from torch.optim import Optimizer

from llm_lab.bench.clock import Clock
from llm_lab.config import build, build_all
from llm_lab.config.check import check
from llm_lab.config.compose import compose
from llm_lab.data.module import DataModule
from llm_lab.modes.run import open_run
from llm_lab.modes.train import build_task
from llm_lab.modes.trainer import build_trainer, precision_of
from llm_lab.strategies.auto import Auto
from llm_lab.tracking.history import History
from llm_lab.tracking.ledger import Ledger


def composed(words: Sequence[str]) -> DictConfig:
    """Return the checked config of a job, without Hydra's node."""
    config = check(compose(words)).config
    with open_dict(config):
        config.pop("hydra")
    return config


def with_callbacks(config: DictConfig, names: Sequence[str]) -> DictConfig:
    """Return a config with these of its callbacks alone, and with what they take from the others."""
    every: Any = OmegaConf.to_container(config.callbacks, resolve=True)
    chosen = config.copy()
    with open_dict(chosen):
        chosen.callbacks = {name: every[name] for name in names}
    return chosen


def lightning(config: DictConfig, *, ledger: bool) -> float:
    """Train by the composed config with its history file, with or without the cost ledger; seconds per step."""
    config, clock = config.copy(), Clock()
    with tempfile.TemporaryDirectory() as folder, open_run(config, Path(folder), {}) as run:
        data: Any = build(config.data, expected=DataModule, key="data")
        task = build_task(config, data.prepare())
        loggers: dict[str, Any] = build_all(config.get("logger"), expected=Logger, key="logger")
        callbacks: dict[str, Any] = build_all(config.get("callbacks"), expected=Callback, key="callbacks")
        run.loggers = list(loggers.values())
        always = [History(path=Path(folder) / "history.jsonl"), *([Ledger()] if ledger else []), clock]
        build_trainer(run, Auto(), [*callbacks.values(), *always]).fit(task, data)
    return clock.seconds / clock.steps


def bare(config: DictConfig) -> float:
    """Train the same model on the same batches with nothing around; seconds per step."""
    data: Any = build(config.data, expected=DataModule, key="data")
    model = build_task(config, data.prepare()).network().train()
    optimizer: Any = build(config.optimizer, expected=Optimizer, key="optimizer", model=model)
    bf16, clock = precision_of(config.trainer) == "bf16-mixed", Clock()
    clock.start()
    for step, batch in enumerate(data.train_dataloader(), start=1):
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(**inputs).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.trainer.gradient_clip_val)
        optimizer.step()
        optimizer.zero_grad()
        clock.stop(step)
    return clock.seconds / clock.steps
