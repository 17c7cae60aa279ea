"""Folders of models with more than transformers knows: an adapter beside them, or knowledge injected into them.

See `llm_lab.peft.saved` and `llm_lab.knowledge.injection.saved`, imported only where there is such a thing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

BASE = "base"
CONFIG = "adapter_config.json"


def base_of(folder: Path) -> Path:
    """The folder of the plain model: the folder itself, or its ``base/`` where an adapter lies in it."""
    return folder / BASE if (folder / CONFIG).is_file() else folder


def attach(model: Any, folder: Path) -> Any:
    """The model of `base_of` a folder with what belongs to it: injected parts, and the adapter that lies there."""
    if getattr(model.config, "injection", None):
        from llm_lab.knowledge.injection.saved import reinstall

        model = reinstall(model, base_of(folder))
    if not (folder / CONFIG).is_file():
        return model
    from llm_lab.peft.saved import read_adapter

    return read_adapter(model, folder)
