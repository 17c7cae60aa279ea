"""Where a composed run is trained: in this process, as one rank of several, or in ranks started here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from llm_lab.launch.options import Launch
from llm_lab.launch.place import placed
from llm_lab.launch.ranks import local_ranks

Metrics = dict[str, Any]


def start(config: DictConfig, directory: Path, *, facts: dict[str, Any]) -> Metrics:
    """Train a composed config wherever it belongs; returns its flat metrics.

    Args:
        config: composed and checked, without Hydra's node.
        directory: the run directory.
        facts: hash, name and words of the run.
    """
    place = placed()
    if place is not None:
        from llm_lab.launch.rank import follow, lead

        return follow(place) if place.rank else lead(place, config, directory, facts=facts)
    ranks, nodes = local_ranks(config.trainer), int(config.trainer.num_nodes)
    if ranks * nodes == 1:
        from llm_lab.modes.train import train

        return train(config, directory, facts=facts)
    return in_ranks(config, directory, facts=facts, ranks=ranks, nodes=nodes)


def in_ranks(
    config: DictConfig, directory: Path, *, facts: dict[str, Any], ranks: int, nodes: int
) -> Metrics:
    """Start ranks, wait for them, and say how the run ended even where rank 0 no longer can."""
    from llm_lab.launch.agent import Agent
    from llm_lab.modes.run import STARTING, alone, prepare, settle

    options: Any = OmegaConf.to_container(config.launch)
    agent = Agent(directory=directory, ranks=ranks, nodes=nodes, options=Launch(**options))
    if nodes > 1 and os.environ.get("NODE_RANK") != "0":
        agent.run()
    else:
        with alone(directory, STARTING):
            prepare(config, directory, facts)
            try:
                agent.run()
            except BaseException as error:
                settle(directory, error)
                raise
    metrics = directory / "metrics.json"
    return json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {}
