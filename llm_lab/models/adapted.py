"""Folders of models with an adapter beside them: see `llm_lab.peft.saved`, imported only where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BASE = "base"
CONFIG = "adapter_config.json"


def base_of(folder: Path) -> Path:
    """The folder of the plain model: the folder itself, or its ``base/`` where an adapter lies in it."""
    return folder / BASE if (folder / CONFIG).is_file() else folder


def attach(model: Any, folder: Path) -> Any:
    """The model of `base_of` a folder with the adapter that lies there; the model itself where none does."""
    if not (folder / CONFIG).is_file():
        return model
    from llm_lab.peft.saved import read_adapter

    return read_adapter(model, folder)
