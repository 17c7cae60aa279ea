"""Which rank this process is, read from what torchrun, Slurm or a plain environment says; imports nothing heavy."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from llm_lab.errors import RunError

PORT = 29500  # torch's own default


@dataclass(frozen=True, kw_only=True)
class Place:
    """One rank among several.

    Attributes:
        rank: number of this process, 0 leads.
        world_size: number of all ranks.
        local_rank: number among the ranks of this node.
        local_world_size: ranks of this node.
        node_rank: number of this node.
        address: host of rank 0.
        port: port at which the ranks meet.
    """

    rank: int
    world_size: int
    local_rank: int = 0
    local_world_size: int = 1
    node_rank: int = 0
    address: str = "127.0.0.1"
    port: int = PORT

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.world_size // self.local_world_size

    def variables(self) -> dict[str, str]:
        """The same as torchrun's environment variables."""
        return {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.world_size),
            "LOCAL_RANK": str(self.local_rank),
            "LOCAL_WORLD_SIZE": str(self.local_world_size),
            "GROUP_RANK": str(self.node_rank),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }


def placed(environ: Mapping[str, str] | None = None) -> Place | None:
    """The rank that whoever started this process gave it; None where it stands alone.

    Raises:
        RunError: the variables contradict each other.
    """
    found = os.environ if environ is None else environ
    place = _torchrun(found) if "RANK" in found else _slurm(found) if "SLURM_PROCID" in found else None
    return None if place is None or place.world_size == 1 else place


def _torchrun(environ: Mapping[str, str]) -> Place:
    rank, world = number_of(environ, "RANK"), number_of(environ, "WORLD_SIZE", 1)
    if not 0 <= rank < world:
        raise RunError(f"RANK={rank} is no rank of WORLD_SIZE={world}; set both, or neither")
    local = number_of(environ, "LOCAL_WORLD_SIZE", 1)
    if not 1 <= local <= world:
        raise RunError(f"LOCAL_WORLD_SIZE={local} is no part of WORLD_SIZE={world}")
    return Place(
        rank=rank,
        world_size=world,
        local_rank=number_of(environ, "LOCAL_RANK", 0),
        local_world_size=local,
        node_rank=number_of(environ, "GROUP_RANK", number_of(environ, "NODE_RANK", 0)),
        address=environ.get("MASTER_ADDR", "127.0.0.1"),
        port=number_of(environ, "MASTER_PORT", PORT),
    )


def _slurm(environ: Mapping[str, str]) -> Place | None:
    """The task of a job step; a batch script, or a shell that `salloc` or `srun --pty` opened, is one process."""
    if "SLURM_STEP_ID" not in environ:
        return None
    world = number_of(environ, "SLURM_STEP_NUM_TASKS", number_of(environ, "SLURM_NTASKS", 1))
    nodes = number_of(environ, "SLURM_STEP_NUM_NODES", number_of(environ, "SLURM_NNODES", 1))
    if nodes < 1 or world % nodes:
        raise RunError(
            f"{world} Slurm tasks on {nodes} nodes: every node needs the same number; use --ntasks-per-node"
        )
    return Place(
        rank=number_of(environ, "SLURM_PROCID"),
        world_size=world,
        local_rank=number_of(environ, "SLURM_LOCALID", 0),
        local_world_size=world // nodes,
        node_rank=number_of(environ, "SLURM_NODEID", 0),
        address=environ.get("MASTER_ADDR") or first_host(environ.get("SLURM_STEP_NODELIST", "")),
        port=number_of(environ, "MASTER_PORT", _slurm_port(environ)),
    )


def _slurm_port(environ: Mapping[str, str]) -> int:
    """A port that two jobs, or two steps of one job, are unlikely to share."""
    return (
        15000 + (number_of(environ, "SLURM_JOB_ID", 0) * 7 + number_of(environ, "SLURM_STEP_ID", 0)) % 10000
    )


def first_host(nodes: str) -> str:
    """The first host of a Slurm node list such as ``gpu[03-07,9],login1``."""
    match = re.match(r"([^,\[]+)(?:\[(\d+)[^\]]*\])?([^,\[]*)", nodes)
    return "127.0.0.1" if match is None else "".join(part or "" for part in match.groups())


def number_of(environ: Mapping[str, str], name: str, default: int | None = None) -> int:
    """A variable's number, or the default where it is not set; raises RunError for anything else."""
    text = environ.get(name, "" if default is None else str(default))
    if not text.strip().isdigit():
        raise RunError(f"{name}={text or '(not set)'} is not a number, so this process cannot tell its rank")
    return int(text)
