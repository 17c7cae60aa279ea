"""The resolvers that our own configs use: `${run_hash:}`, `${sweep_hash:}`, `${run_name:}`, `${step:NAME}`, ..."""

from __future__ import annotations

import os
from datetime import datetime
from itertools import combinations
from typing import Any

from omegaconf import DictConfig, OmegaConf

from llm_lab.errors import ConfigError

UNNAMED = "adhoc"
NOT_DESIGN = ("n_trials", "n_jobs", "max_batch_size")  # of a sweeper


def register() -> None:
    """Make the resolvers known to OmegaConf; doing it twice is harmless."""
    OmegaConf.register_new_resolver("run_hash", _run_hash, replace=True)
    OmegaConf.register_new_resolver("sweep_hash", _sweep_hash, replace=True)
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)
    OmegaConf.register_new_resolver("step", _step, replace=True)
    OmegaConf.register_new_resolver("input_subsets", _input_subsets, replace=True)
    OmegaConf.register_new_resolver("run_start", _run_start, replace=True, use_cache=True)


def _run_hash(*, _root_: DictConfig) -> str:
    from llm_lab.config.run_hash import run_hash

    return run_hash(_root_)


def _sweep_hash(*, _root_: DictConfig) -> str:
    from llm_lab.config.run_hash import sweep_hash

    node = _hydra(_root_)
    words = [str(word) for word in node.overrides.task if not str(word).lstrip("+").startswith("sweep.")]
    return sweep_hash([*words, *_design(node.get("sweeper"))])


def _design(sweeper: DictConfig | None) -> list[str]:
    """What the sweeper's settings add to the words: all but how many jobs there are and how they are started."""
    raw: Any = OmegaConf.to_container(sweeper, resolve=False) if sweeper is not None else {}
    raw = {key: value for key, value in raw.items() if value is not None and key not in NOT_DESIGN}
    plain = str(raw.pop("_target_", ""))
    return [f"{key}={value}" for key, value in raw.items()] + ([plain] if "optuna" in plain else [])


def _input_subsets(*, _root_: DictConfig) -> str:
    """Subsets of the inputs of the data as the values of a sweep, the whole first; of two at least in retrieval."""
    columns: Any = OmegaConf.select(_root_, "data.columns") or {}
    names = [str(name) for name, node in columns.items() if isinstance(node, DictConfig) and "kind" in node]
    least = 2 if OmegaConf.select(_root_, "data.problem") == "modalities" else 1
    sizes = range(len(names), least - 1, -1)
    if len(sizes) < 2:  # noqa: PLR2004 - the whole, and something less
        raise ConfigError(
            f"ablate=modalities: {least + 1} inputs or more are wanted, the data have {len(names)}"
        )
    return ",".join(f"[{','.join(some)}]" for size in sizes for some in combinations(names, size))


def _step(name: str, *, _root_: DictConfig) -> str:
    from llm_lab.pipelines.steps import model_of

    return model_of(name, _root_)


def _run_name(*, _root_: DictConfig) -> str:
    """The chosen experiment, several joined by a plus, else `adhoc`."""
    choice = _hydra(_root_).runtime.choices.get("experiment") if _hydra(_root_) is not None else None
    if choice is None:
        return UNNAMED
    return choice if isinstance(choice, str) else "+".join(choice)


def _run_start() -> str:
    """The moment; in a Slurm batch script the job, whose number a requeued one keeps: it finds its run again."""
    job, step = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_STEP_ID")
    if job is None or os.environ.get("ENVIRONMENT") != "BATCH":  # which sbatch sets, and no shell
        return datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
    return f"slurm-{job}" if step is None else f"slurm-{job}.{step}"


def _hydra(root: DictConfig) -> Any:
    """Hydra's node of this config; inside a job, where it is cut off, that of the running job."""
    if "hydra" in root:
        return root.hydra
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.get() if HydraConfig.initialized() else OmegaConf.create({"runtime": {"choices": {}}})
