"""Ranks find each other at a store, and rank 0 hands out what is to be trained."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf
from torch.distributed import HashStore, TCPStore

from llm_lab.errors import RunError
from llm_lab.launch.meeting import Meeting, join, meet
from llm_lab.launch.place import Place

ONE, OTHER = OmegaConf.create({"seed": 1}), OmegaConf.create({"seed": 2})


@pytest.fixture
def store() -> HashStore:
    return HashStore()


@pytest.fixture
def variables() -> Iterator[None]:
    """`meet` sets torchrun's variables in this process."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def start(store: HashStore) -> tuple[Meeting, Meeting]:
    """Two ranks that have just been started."""
    first, second = (join(Place(rank=rank, world_size=2), store, timeout=5) for rank in (0, 1))
    return first, second


def handed_out(lead: Meeting, other: Meeting, directory: str, config: DictConfig) -> tuple[Path, DictConfig]:
    lead.hand_out(Path(directory), config)
    job = other.receive()
    assert job is not None
    return job


def test_jobs_reach_the_other_rank_in_order(store: HashStore) -> None:
    lead, other = start(store)
    assert handed_out(lead, other, "runs/one", ONE) == (Path("runs/one"), ONE)
    assert handed_out(lead, other, "runs/two", OTHER) == (Path("runs/two"), OTHER)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(lead.end)
        assert other.receive() is None
        other.leave()
        ended.result(timeout=5)


def test_a_run_that_is_started_again_keeps_its_directory(store: HashStore) -> None:
    handed_out(*start(store), "runs/20-00-01", ONE)
    assert handed_out(*start(store), "runs/20-03-17", ONE) == (Path("runs/20-00-01"), ONE)


def test_after_a_restart_the_second_job_of_a_sweep_may_come_first(store: HashStore) -> None:
    handed_out(*start(store), "runs/one", ONE)
    assert handed_out(*start(store), "runs/two", OTHER) == (Path("runs/two"), OTHER)


def test_what_an_earlier_start_left_is_not_read(store: HashStore) -> None:
    lead, other = start(store)
    other.gather("ledger", {"rows": 1})
    lead, other = start(store)
    other.gather("ledger", {"rows": 2})
    assert lead.gather("ledger", {}) == [{"rows": 2}]


def test_a_rank_that_is_back_before_rank_0_waits_for_it(store: HashStore) -> None:
    start(store)
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(join, Place(rank=1, world_size=2), store, timeout=5)
        lead = join(Place(rank=0, world_size=2), store, timeout=5)
        assert handed_out(lead, early.result(timeout=5), "runs/one", ONE) == (Path("runs/one"), ONE)


def test_rank_0_that_does_not_come_back_is_an_error(store: HashStore) -> None:
    start(store)
    with pytest.raises(
        RunError, match=r"number 1 cannot reach the first .* within 0.2 s .*rank 0 did not come"
    ):
        join(Place(rank=1, world_size=2), store, timeout=0.2)


def test_rank_0_that_is_gone_is_an_error() -> None:
    keeper = TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=5), wait_for_workers=False)
    guest = TCPStore("127.0.0.1", keeper.port, is_master=False, timeout=timedelta(seconds=5))
    join(Place(rank=0, world_size=2), keeper, timeout=5)
    other = join(Place(rank=1, world_size=2), guest, timeout=5)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(other.receive)
        del keeper
        with pytest.raises(RunError, match="rank 1: rank 0 ended"):
            job.result(timeout=10)


def test_a_port_in_use(variables: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            RunError, match=f"port {port} is in use on 127.0.0.1; set MASTER_PORT to a free one"
        ):
            meet(Place(rank=0, world_size=2, port=port), timeout=2)


def test_nobody_at_the_port(variables: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RunError, match=rf"number 1 cannot reach the first at 127.0.0.1:{port} within 1 s"):
        meet(Place(rank=1, world_size=2, port=port), timeout=1)
