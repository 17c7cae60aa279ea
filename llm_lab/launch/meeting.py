"""Where the ranks of a run find each other: one store, over which rank 0 hands out what is to be trained."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from llm_lab.config.run_hash import run_hash
from llm_lab.errors import RunError
from llm_lab.launch.interface import choose_interface
from llm_lab.launch.loopback import is_loopback, serve
from llm_lab.launch.place import Place

COLLECTIVES = timedelta(minutes=30)  # torch's default for gloo: how long one rank may work while others wait
MOMENT = "moment"  # attribute of an exception: when it came up
FAREWELL = timedelta(seconds=10)
POLL = 0.05  # seconds
PATIENCE = timedelta(days=365)  # waiting for rank 0 ends with rank 0, whose end closes the store


@dataclass(kw_only=True)
class Meeting:
    """All ranks at one store.

    Attributes:
        place: which rank this is.
        store: torch's key-value store, of this start of the ranks alone.
        lasting: the same store as all starts see it; after a restart it still holds what was written before.
        timeout: seconds to wait for all ranks.
        jobs: number of jobs handed out or received so far.
        handed: what was handed out since this start, by hash.
    """

    place: Place
    store: Store
    lasting: Store
    timeout: float
    jobs: int = 0
    handed: set[str] = field(default_factory=set)

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.place.rank == 0

    def hand_out(self, directory: Path, config: DictConfig) -> Path:
        """Give the next job to all other ranks; returns its directory.

        After a restart that is the earlier one, where the time is in its name; two jobs that compute the same keep
        theirs.
        """
        known, same = f"directory/{run_hash(config)}", f"known/{directory}"
        if not self.lasting.check([same]) and known not in self.handed and self.lasting.check([known]):
            directory = Path(self.lasting.get(known).decode())
        self.handed.add(known)
        self.lasting.set(known, str(directory))
        self.lasting.set(f"known/{directory}", "")
        job = {"directory": str(directory), "config": OmegaConf.to_yaml(config)}
        self.store.set(f"job/{self.jobs}", json.dumps(job))
        self.jobs += 1
        return directory

    def receive(self) -> tuple[Path, DictConfig] | None:
        """Wait for the next job of rank 0; None when there is none left.

        Raises:
            RunError: rank 0 is gone.
        """
        key = f"job/{self.jobs}"
        try:
            self.store.wait([key], PATIENCE)
            job = json.loads(self.store.get(key))
        except (RuntimeError, distributed.DistError) as error:
            raise RunError(f"rank {self.place.rank}: rank 0 ended ({_line(error)})") from None
        self.jobs += 1
        if job is None:
            return None
        config = OmegaConf.create(job["config"])
        assert isinstance(config, DictConfig)  # noqa: S101 - what `hand_out` wrote
        return Path(job["directory"]), config

    def end(self) -> None:
        """Tell the other ranks that there are no more jobs, and wait until they know: the store may be ours."""
        self.store.set(f"job/{self.jobs}", json.dumps(None))
        with suppress(RuntimeError):  # a rank that died will not answer
            self.store.wait([f"left/{rank}" for rank in range(1, self.place.world_size)], FAREWELL)

    def leave(self) -> None:
        """Let rank 0 go."""
        self.store.set(f"left/{self.place.rank}", "")

    def gather(self, what: str, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Collect a value of each other rank at rank 0, as JSON; the others get nothing and do not wait."""
        key = f"{what}/{self.jobs}"
        if not self.leads:
            self.store.set(f"{key}/{self.place.rank}", json.dumps(value))
            return []
        return [json.loads(self.store.get(f"{key}/{rank}")) for rank in range(1, self.place.world_size)]

    @contextmanager
    def first_of_node(self, what: str) -> Iterator[None]:
        """Let the first rank of each node do something before the others of its node do it."""
        key = f"{what}/{self.jobs}/{self.place.node_rank}"
        if self.place.local_rank:
            self.store.wait([key], PATIENCE)
        try:
            yield
        finally:
            if not self.place.local_rank:
                self.store.set(key, "done")

    @contextmanager
    def group(self) -> Iterator[None]:
        """Open the process group of one job; a rank that fails closes it, which wakes those that wait for it.

        Raises:
            RunError: the ranks cannot reach each other.
        """
        store = PrefixStore(f"group/{self.jobs}", self.store)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            distributed.init_process_group(
                backend,
                store=store,
                rank=self.place.rank,
                world_size=self.place.world_size,
                timeout=timedelta(seconds=self.timeout),
            )
            distributed.barrier()
        except (RuntimeError, distributed.DistError) as error:
            raise RunError(
                f"rank {self.place.rank} cannot reach the other ranks through the network interface "
                f"{os.environ.get('GLOO_SOCKET_IFNAME', '(none)')} within {self.timeout:g} s: {_line(error)}; "
                "set GLOO_SOCKET_IFNAME to the right one"
            ) from None
        distributed.distributed_c10d._set_pg_timeout(COLLECTIVES)  # noqa: SLF001 - the short one was for meeting
        try:
            yield
        except Exception as error:
            setattr(error, MOMENT, time.time())  # before the other ranks can fail for it
            raise
        finally:
            distributed.destroy_process_group()


def meet(place: Place, *, timeout: float) -> Meeting:
    """Join the store of the run, which rank 0 or torchrun's agent keeps.

    Raises:
        RunError: the port is in use, or rank 0 cannot be reached in time.
    """
    choose_interface(place.address)
    os.environ.update(place.variables())
    try:
        return join(place, _store(place, timedelta(seconds=timeout)), timeout=timeout)
    except (RuntimeError, distributed.DistError, OSError) as error:
        raise meeting_failed(error, str(place.rank), timeout) from None


def _store(place: Place, timeout: timedelta) -> Store:
    """The store of torchrun's agent, else rank 0's: on one machine nobody outside can reach it."""
    if place.rank == 0 and "TORCHELASTIC_USE_AGENT_STORE" not in os.environ and is_loopback(place.address):
        return serve(place.address, place.port, timeout=timeout, world_size=place.world_size)
    store, _, _ = next(rendezvous("env://", timeout=timeout))
    return store


def join(place: Place, store: Store, *, timeout: float) -> Meeting:
    """Join the newest start of the ranks: those of an earlier one left their keys behind where the store outlives them.

    torch's own count of restarts does not serve: it differs from node to node.

    Raises:
        RunError: rank 0 does not come.
    """
    if place.rank == 0:
        number = store.add("starts", 1)
    else:
        mine, end = f"joined/{place.rank}", time.monotonic() + timeout
        joined = store.add(mine, 0)
        while (number := store.add("starts", 0)) <= joined:
            if time.monotonic() > end:
                raise meeting_failed(TimeoutError("rank 0 did not come"), str(place.rank), timeout)
            time.sleep(POLL)
        store.add(mine, number - joined)
    return Meeting(place=place, store=PrefixStore(f"start/{number}", store), lasting=store, timeout=timeout)


def meeting_failed(error: BaseException, number: str, timeout: float) -> RunError:
    """What it means that torch could not bring the ranks, or the nodes, of a run together.

    Args:
        error: torch's own.
        number: of this rank or node; 0 keeps the store.
        timeout: seconds waited.
    """
    address, port = os.environ.get("MASTER_ADDR", "127.0.0.1"), os.environ.get("MASTER_PORT", "")
    if "EADDRINUSE" in str(error) or "in use" in str(error):
        return RunError(f"port {port} is in use on {address}; set MASTER_PORT to a free one")
    what = "the others did not come to" if number == "0" else f"number {number} cannot reach the first at"
    return RunError(f"{what} {address}:{port} within {timeout:g} s (launch.timeout): {_line(error)}")


def _line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
