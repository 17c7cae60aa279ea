"""How many ranks a run has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig, open_dict

from llm_lab.errors import ConfigError
from llm_lab.launch.place import Place


def local_ranks(trainer: DictConfig) -> int:
    """Ranks of this node: ``trainer.devices``, where ``auto`` is every CUDA device, or one process without any."""
    devices: Any = trainer.devices
    if isinstance(devices, int) and devices > 0:
        return devices
    if isinstance(devices, str) and devices.isdigit():
        return int(devices)
    if not isinstance(devices, str) and isinstance(devices, Sequence):
        return len(devices)
    if trainer.accelerator == "cpu":
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def fit_to(place: Place, config: DictConfig) -> None:
    """Let the Trainer count the ranks that were started; left at 1, it follows them.

    Raises:
        ConfigError: the config asks for another number.
    """
    asked = {"devices": local_ranks(config.trainer), "num_nodes": int(config.trainer.num_nodes)}
    found = {"devices": place.local_world_size, "num_nodes": place.nodes}
    for name, count in asked.items():
        if count not in (1, found[name]):
            raise ConfigError(
                f"trainer.{name}: {count} asked for, but {place.world_size} ranks on {place.nodes} nodes were started"
            )
    listed = isinstance(config.trainer.devices, ListConfig) and asked["devices"] == found["devices"]
    with open_dict(config):
        config.trainer.update(found | ({"devices": config.trainer.devices} if listed else {}))
