"""Launchers: what each needs to be there, and how jobs that run side by side share the cores."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from llm_lab.config.hardware import cores

THREADS = "OMP_NUM_THREADS"
PACKAGES = {  # a part of the launcher's target -> what must be installed
    "hydra_joblib_launcher": "hydra-joblib-launcher",
    "hydra_submitit_launcher": "hydra-submitit-launcher",
    "hydra_ray_launcher": "hydra-ray-launcher",
}
PROGRAMS = {"submitit_launcher.SlurmLauncher": ("sbatch", "srun")}
RAY = {  # read when ray is imported: a cluster that Ray starts by itself listens on loopback, and tells nobody
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
SIDE_BY_SIDE = ("joblib_launcher", "submitit_launcher.LocalLauncher", "ray_launcher")  # on this machine


def missing(target: str) -> str:
    """What the launcher lacks on this machine, in one line; empty where it can start."""
    for part, package in PACKAGES.items():
        if part in target and find_spec(f"hydra_plugins.{part}") is None:
            return f"needs {package}, which is not installed: pip install 'llm_lab[launchers]'"
    for part, programs in PROGRAMS.items():
        absent = [name for name in programs if part in target and shutil.which(name) is None]
        if absent:
            return f"needs Slurm's {' and '.join(absent)}, not found on PATH; hydra/launcher=submitit_local runs here"
    return ""


def width(launcher: Mapping[str, Any], jobs: int) -> int:
    """How many of these jobs the launcher runs at the same time on this machine."""
    if not any(part in str(launcher.get("_target_")) for part in SIDE_BY_SIDE):
        return 1
    asked = launcher.get("n_jobs")
    return max(1, min(asked if isinstance(asked, int) and asked > 0 else cores(), jobs))


@contextmanager
def environment(launcher: Mapping[str, Any], jobs: int) -> Iterator[int]:
    """Give each of the jobs that run side by side its share of the cores, and a Ray of ours to this machine alone.

    What the user has set has the last word. Yields the number of jobs at a time.
    """
    together = width(launcher, jobs)
    wanted = {THREADS: str(max(1, cores() // together))} if together > 1 else {}
    if "ray_launcher" in str(launcher.get("_target_")):
        wanted |= RAY
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield together
    finally:
        for name in added:
            os.environ.pop(name, None)
