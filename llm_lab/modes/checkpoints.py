"""Which checkpoint to go on from, and which one to test."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from llm_lab.callbacks.checkpoint import FOLDER
from llm_lab.strategies.folder import is_whole

log = logging.getLogger(__name__)


def resume_point(run: Path) -> Path | None:
    """Return the newest checkpoint that loads; a torn or planted one is passed over with a warning.

    Loading is ``weights_only``: a file that holds anything but tensors and primitives is refused.
    """
    for path in sorted((run / FOLDER).glob("step-*.ckpt"), key=_step, reverse=True):
        if _loads(path):
            return path
        log.warning("%s is torn or not a checkpoint of ours; trying the one before", path)
    return None


def best_point(run: Path) -> Path | None:
    """Return the best checkpoint by the monitor, else the newest that can be resumed."""
    best = sorted((run / FOLDER).glob("best-*.ckpt"), key=_step, reverse=True)
    return next((path for path in best if _loads(path)), None) or resume_point(run)


def _step(path: Path) -> int:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1


def _loads(path: Path) -> bool:
    if path.is_dir():  # of a model in parts
        return is_whole(path)
    try:
        content: dict[str, Any] = torch.load(path, map_location="meta", weights_only=True, mmap=True)
    except Exception:  # noqa: BLE001 - a torn archive fails in many ways, all of them mean "not this one"
        return False
    return isinstance(content, dict) and "state_dict" in content
