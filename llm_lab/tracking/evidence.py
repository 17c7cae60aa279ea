"""What a result needs beside it to be believed and made again: config, code, packages, data, machine."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from omegaconf import DictConfig

from llm_lab.config.hardware import CPUINFO, cores
from llm_lab.config.run_hash import run_hash
from llm_lab.config.secrets import masker

DISTRIBUTION = "llm-lab"
GIT_SECONDS = 5.0


def manifest(config: DictConfig, *, fingerprint: str = "", words: Sequence[str] = ()) -> dict[str, Any]:
    """Return plain facts about a run that is about to start.

    Args:
        config: the composed config of the run.
        fingerprint: content hash of the prepared data.
        words: what was typed on the command line; values from the environment are masked.
    """
    masked = masker(config)
    return {
        "config_hash": run_hash(config),
        "data_fingerprint": fingerprint,
        "seed": config.get("seed"),
        "words": [masked(word) for word in words],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git_state(Path.cwd()),
        "packages": packages(),
        **machine(),
    }


def machine() -> dict[str, Any]:
    """Python, operating system, processor, cores this process has, memory, GPUs."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cores": cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return commit, branch and dirty flag of the repository around ``folder``; None outside of one."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    changes = _git(folder, "status", "--porcelain")
    branch = _git(folder, "rev-parse", "--abbrev-ref", "HEAD")
    return {"commit": commit, "branch": branch, "dirty": bool(changes) if changes is not None else None}


def _git(folder: Path, *words: str) -> str | None:
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def packages() -> dict[str, str]:
    """Return the installed versions of this framework and of what it depends on directly."""
    required = [item for item in metadata.requires(DISTRIBUTION) or [] if "extra ==" not in item]
    names = [DISTRIBUTION, *(re.split(r"[^A-Za-z0-9._-]", item, maxsplit=1)[0] for item in required)]
    installed = {name: _version(name) for name in sorted(names, key=str.lower)}
    return {name: version for name, version in installed.items() if version}


def _version(name: str) -> str:
    """Return the installed version; empty for a dependency that this platform does without."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


@cache
def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
