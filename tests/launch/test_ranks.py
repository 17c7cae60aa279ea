"""How many ranks a config asks for, and whether so many were started."""

from __future__ import annotations

import pytest
from omegaconf import DictConfig, OmegaConf

from llm_lab.errors import ConfigError
from llm_lab.launch.place import Place
from llm_lab.launch.ranks import fit_to, local_ranks


def config(devices: object = 1, nodes: int = 1, accelerator: str = "cpu") -> DictConfig:
    return OmegaConf.create({"trainer": {"devices": devices, "num_nodes": nodes, "accelerator": accelerator}})


@pytest.mark.parametrize(
    ("devices", "count"), [(1, 1), (3, 3), ("2", 2), ([0, 2, 3], 3), ("auto", 1), (-1, 1), ("-1", 1)]
)
def test_every_way_to_say_how_many(devices: object, count: int) -> None:
    assert local_ranks(config(devices).trainer) == count


@pytest.mark.parametrize(("devices", "nodes"), [(1, 1), (2, 1), (2, 3), (1, 3), ("auto", 1)])
def test_what_was_left_open_follows_the_ranks_that_were_started(devices: object, nodes: int) -> None:
    asked = config(devices, nodes)
    fit_to(Place(rank=0, world_size=6, local_world_size=2), asked)
    assert (asked.trainer.devices, asked.trainer.num_nodes) == (2, 3)


@pytest.mark.parametrize(
    ("devices", "nodes", "key"), [(4, 3, "devices"), (2, 2, "num_nodes"), (6, 1, "devices")]
)
def test_another_number_is_refused(devices: int, nodes: int, key: str) -> None:
    with pytest.raises(
        ConfigError, match=f"trainer.{key}: .* asked for, but 6 ranks on 3 nodes were started"
    ):
        fit_to(Place(rank=0, world_size=6, local_world_size=2), config(devices, nodes))


def test_devices_chosen_one_by_one_stay_chosen() -> None:
    asked = config([1, 3], 3)
    fit_to(Place(rank=0, world_size=6, local_world_size=2), asked)
    assert asked.trainer.devices == [1, 3]
