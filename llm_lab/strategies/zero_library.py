"""DeepSpeed is imported here, and only where a strategy asks for it."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
from typing import Any

import torch

from llm_lab.errors import RunError

log = logging.getLogger(__name__)


def require() -> Any:
    """Import DeepSpeed so that it works on this machine, and return it.

    Raises:
        RunError: it is not installed, or cannot be imported.
    """
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # read once, by the first import
    try:
        library = importlib.import_module("deepspeed")
        communication: Any = importlib.import_module("deepspeed.comm.torch")
    except ModuleNotFoundError as error:
        if error.name != "deepspeed":
            raise RunError(f"strategy: DeepSpeed cannot be imported: {error}") from error
        raise RunError("strategy: DeepSpeed is not installed: pip install 'llm-lab[deepspeed]'") from error
    except Exception as error:
        raise RunError(f"strategy: DeepSpeed cannot be imported: {str(error).splitlines()[0]}") from error
    # On a processor it would compile a collective for shared memory at its first start, for over a minute and
    # only where there is a compiler. No public switch turns that off: pyproject.toml holds DeepSpeed below 0.20.
    if hasattr(communication, "build_shm_op"):
        communication.build_shm_op = _no_build
    return library


def _no_build() -> None:
    return None


def announce_builds() -> None:
    """Say that DeepSpeed's AdamW for processors is compiled at its first start.

    Raises:
        RunError: there is no C++ compiler.
    """
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
        raise RunError("strategy.cpu_adam: DeepSpeed's AdamW is compiled here, but there is no C++ compiler")
    log.warning("DeepSpeed compiles its AdamW for this processor: about three minutes, once per machine")


class _Met:
    group: Any = None


def forget_groups() -> None:
    """Let DeepSpeed make its process groups anew where those of an earlier job in this process are gone.

    It keeps them in module variables and has no way to drop them.
    """
    world = torch.distributed.group.WORLD
    if _Met.group is world:
        return
    _Met.group = world
    groups: Any = importlib.import_module("deepspeed.utils.groups")
    importlib.import_module("deepspeed.comm.comm").__dict__["cdb"] = None
    for name, value in vars(groups).copy().items():
        if name.endswith(("_GROUP", "_GROUP_RANKS")) or name in ("mesh_device", "mpu"):
            setattr(groups, name, {} if isinstance(value, dict) else None)
