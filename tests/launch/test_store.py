"""The store over which rank 0 hands out jobs: who can reach it, and where jobs go after a restart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from omegaconf import OmegaConf
from torch.distributed import HashStore

from llm_lab.errors import RunError
from llm_lab.launch import rank
from llm_lab.launch.loopback import is_loopback, serve
from llm_lab.launch.meeting import join
from llm_lab.launch.place import Place

PLACE = Place(rank=0, world_size=2, local_world_size=2)
CONFIG = OmegaConf.create({"name": "toy", "seed": 1})


def test_the_store_of_one_machine_is_heard_on_loopback_only() -> None:
    store = serve("127.0.0.1", 0, timeout=timedelta(seconds=5))
    open_ports = {item.laddr.port: item.laddr.ip for item in psutil.Process().net_connections("tcp")}
    assert open_ports[store.port] == "127.0.0.1"
    assert is_loopback("localhost") and is_loopback("127.0.0.9") and not is_loopback("10.77.0.1")


def test_a_port_in_use_is_told() -> None:
    store = serve("127.0.0.1", 0, timeout=timedelta(seconds=5))
    with pytest.raises(OSError, match="in use"):
        serve("127.0.0.1", store.port, timeout=timedelta(seconds=5))


def test_jobs_that_compute_the_same_keep_their_directories() -> None:
    meeting = join(PLACE, HashStore(), timeout=5)
    assert [meeting.hand_out(Path(name), CONFIG) for name in ("/s/0", "/s/1")] == [Path("/s/0"), Path("/s/1")]


def test_a_restarted_run_goes_on_in_its_directory() -> None:
    store = HashStore()
    assert join(PLACE, store, timeout=5).hand_out(Path("/runs/10-00"), CONFIG) == Path("/runs/10-00")
    assert join(PLACE, store, timeout=5).hand_out(Path("/runs/10-07"), CONFIG) == Path("/runs/10-00")


def test_what_is_wrong_at_rank_0_is_not_hidden_by_ranks_that_do_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise RunError("the others did not come")

    def wrong(_: object) -> int:
        raise ValueError("the fault")

    monkeypatch.setattr(rank, "meeting", nobody)
    with pytest.raises(ValueError, match="the fault"):
        rank.take_part(PLACE, SimpleNamespace(overrides=()), wrong)  # type: ignore[arg-type]
