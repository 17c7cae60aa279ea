"""Lightning's Trainer from config, with what depends on this machine filled in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, Trainer

from llm_lab.callbacks.checkpoint import AtomicCheckpointIO
from llm_lab.config import build
from llm_lab.config.hardware import cores, supports_bf16
from llm_lab.launch.environment import Placed
from llm_lab.modes.run import Run
from llm_lab.strategies.parallel import Parallel


def use_processor(ranks: int = 1) -> None:
    """Give torch the cores this process really has, shared out among the ranks of this machine.

    ``OMP_NUM_THREADS``, which torch follows by itself, has the last word.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, cores() // ranks))
    torch.set_float32_matmul_precision("high")


def precision_of(trainer: DictConfig) -> str:
    """Return the chosen precision; ``auto`` is bf16-mixed where the hardware computes in it, else fp32."""
    if trainer.precision != "auto":
        return str(trainer.precision)
    return "bf16-mixed" if supports_bf16() else "32-true"


def build_trainer(run: Run, parallel: Parallel, callbacks: Sequence[Callback]) -> Trainer:
    """Build the Trainer of a run over its strategy, trackers and callbacks."""
    node: dict[str, Any] = dict(OmegaConf.to_container(run.config.trainer, resolve=True))  # type: ignore[arg-type]
    node |= {"precision": precision_of(run.config.trainer)}
    return build(
        node,
        expected=Trainer,
        key="trainer",
        strategy=parallel.engine(),
        callbacks=list(callbacks),
        logger=run.loggers or False,
        plugins=[AtomicCheckpointIO(), *([Placed(place=run.meeting.place)] if run.meeting else [])],
        default_root_dir=str(run.directory),
        use_distributed_sampler=False,
        enable_checkpointing=any(getattr(item, "save_top_k", 0) for item in callbacks),
    )
