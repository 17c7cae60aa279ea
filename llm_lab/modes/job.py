"""One job of Hydra: a single run, or one of a sweep."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from llm_lab.config.check import check
from llm_lab.config.compose import compose
from llm_lab.config.fault import FaultsError
from llm_lab.config.origins import with_places
from llm_lab.config.recall import recall
from llm_lab.config.run_hash import run_hash
from llm_lab.errors import ConfigError
from llm_lab.modes.quiet import hush


def job(hydra_config: DictConfig) -> float | None:
    """Train one composed config; the words are composed again by us, with the origin of every value.

    Args:
        hydra_config: what Hydra composed; equal to our composition, but without origins.

    Returns:
        The expected metric, else the monitored one, for sweepers that optimise.
    """
    context = HydraConfig.get()
    directory = Path(context.runtime.output_dir)
    if context.mode == RunMode.MULTIRUN:
        from llm_lab.sweeps.jobs import in_sweep

        return in_sweep(lambda: _run(directory), directory, Path(context.sweep.dir).absolute())
    return score(_run(directory), hydra_config)


def _run(directory: Path) -> dict[str, Any]:
    """Compose the running job's words with their origins, and train what they say."""
    context = HydraConfig.get()
    hush(log_file=True)
    # For the runs that a `run://experiment/...` of this one starts.
    os.environ["LLM_LAB_DEBUG"] = context.runtime.choices.get("debug") or ""
    words = list(context.overrides.task)
    every = [*context.overrides.hydra, *words]
    composed = recall(words) or check(compose(every, config_name=context.job.config_name))
    config = composed.config
    digest = run_hash(config)
    with open_dict(config):
        config.pop("hydra")
    from llm_lab.launch.start import start

    strategy = context.runtime.choices.get("strategy")
    facts = {"name": config.name, "hash": digest, "words": words, "strategy": strategy}
    try:
        return start(config, directory, facts=facts)
    except FaultsError:
        raise
    except ConfigError as error:
        error.args = (with_places(str(error), composed.origins),)
        raise


def score(metrics: dict[str, Any], config: DictConfig) -> float | None:
    """Return the metric a sweep compares runs by: the expected one, else the monitored one."""
    monitored = OmegaConf.select(config, "callbacks.best.monitor")
    value = metrics.get(config.expected.metric if config.get("expected") else monitored)
    return None if value is None else float(value)
