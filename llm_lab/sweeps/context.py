"""What a sweeper plugin hands on: its own settings, and what Hydra gave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass(frozen=True, kw_only=True)
class Context:
    """One sweep about to run.

    Attributes:
        hydra: Hydra's loader and callbacks.
        task: what runs a job.
        config: composed without the words that differ from job to job.
        settings: of the sweeper, by name.
    """

    hydra: HydraContext
    task: TaskFunction
    config: DictConfig
    settings: Mapping[str, Any]
