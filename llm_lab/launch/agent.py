"""Starts the ranks of a run and watches over them, with torch's elastic agent (what torchrun runs)."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch.distributed import DistError
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from llm_lab import errors
from llm_lab.errors import ConfigError, Interrupted, LabError, RunError
from llm_lab.launch import loopback
from llm_lab.launch.meeting import meeting_failed
from llm_lab.launch.options import Launch
from llm_lab.launch.place import number_of

STOP_WITHIN = 30  # seconds between the request to stop and the end by force
SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"  # torch's own, and Slurm's usual notice of preemption
NODE = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")


@dataclass(kw_only=True)
class Agent:
    """The ranks of one node.

    Attributes:
        directory: the run's, with its ``config.yaml``.
        ranks: how many to start here.
        nodes: how many nodes take part; each runs an agent.
        options: the config's ``launch`` node.
    """

    directory: Path
    ranks: int
    nodes: int
    options: Launch

    def __post_init__(self) -> None:
        """Check that the nodes can find each other, before anything is written or started.

        Raises:
            ConfigError: nothing says where the others are.
            RunError: what says so is wrong, or the port of this node, the first, cannot be had.
        """
        missing = [name for name in NODE if name not in os.environ]
        if self.nodes > 1 and missing:
            raise ConfigError(
                f"trainer.num_nodes={self.nodes}: nothing says where the other nodes are; set {', '.join(NODE)} "
                f"on each node ({', '.join(missing)} missing), or start the run with torchrun or srun"
            )
        if self.nodes > 1:
            node, port = number_of(os.environ, "NODE_RANK"), number_of(os.environ, "MASTER_PORT")
            if node >= self.nodes:
                raise RunError(f"NODE_RANK={node} is none of the {self.nodes} nodes, which count from 0")
            if node == 0:
                _port_is_free(port)

    def run(self) -> None:
        """Start the ranks and wait for them; when one dies, the others are stopped within seconds.

        Raises:
            LabError: the first failing rank's error.
            Interrupted: Ctrl-C, or a request to end; the ranks have saved a checkpoint where they could.
        """
        logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
        command = ("-m", "llm_lab.worker", str(self.directory))
        try:
            elastic_launch(self._settings(), sys.executable)(*command)
        except ChildFailedError as failed:
            first = _first(failed.failures)
            raise self._interrupted() if isinstance(first, Interrupted) else first from None
        except (KeyboardInterrupt, SignalException):
            raise self._interrupted() from None
        except (RuntimeError, DistError) as error:  # the nodes did not meet
            raise meeting_failed(error, os.environ.get("NODE_RANK", "0"), self.options.timeout) from None

    def _interrupted(self) -> Interrupted:
        return Interrupted(f"interrupted; go on with: llm_lab resume {self.directory}")

    def _settings(self) -> LaunchConfig:
        backend, endpoint, more = self._rendezvous()
        folder = self.directory / "logs" / "agent"
        folder.mkdir(parents=True, exist_ok=True)
        return LaunchConfig(
            min_nodes=self.nodes,
            max_nodes=self.nodes,
            nproc_per_node=self.ranks,
            run_id="llm_lab",  # the same on all nodes, whatever the directory is called there
            rdzv_backend=backend,
            rdzv_endpoint=endpoint,
            rdzv_configs={"timeout": round(self.options.timeout), **more},
            rdzv_timeout=-1,
            max_restarts=self.options.restarts if self.options.elastic else 0,
            local_addr=loopback.ADDRESS if self.nodes == 1 else None,
            logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
            shutdown_timeout=STOP_WITHIN,
            signals_to_handle=SIGNALS,
        )

    def _rendezvous(self) -> tuple[str, str, dict[str, Any]]:
        """Alone on the loopback interface; across nodes where the environment says."""
        if self.nodes == 1:
            loopback.register()
            return loopback.NAME, f"{loopback.ADDRESS}:0", {"rank": 0}
        endpoint, node = (
            f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
            number_of(os.environ, "NODE_RANK"),
        )
        if self.options.elastic:
            return "c10d", endpoint, {"is_host": node == 0}
        return "static", endpoint, {"rank": node}


@cache  # torch's store of one job of a sweep may outlive it, and the next job shares it
def _port_is_free(port: int) -> None:
    """Raise RunError where the nodes cannot meet at a port of this one."""
    both = socket.has_dualstack_ipv6()
    with socket.socket(socket.AF_INET6 if both else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if both:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind(("", port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise RunError(f"MASTER_PORT={port}: {why}; set it to a free port") from None


def _first(failures: Mapping[int, ProcessFailure]) -> LabError | Interrupted:
    """The error of the rank that failed first; those that lost it, or were stopped for it, failed after."""
    rank, failure = min(failures.items(), key=lambda item: _moment(item[1]))
    told = _told(failure)
    kind = getattr(errors, str(told.get("kind")), RunError)
    if kind is Interrupted:
        return Interrupted(str(told["text"]))
    if told:
        named = kind is not RunError or f"rank {rank}" in told["text"]
        return kind(str(told["text"]) if named else f"rank {rank}: {told['text']}")
    how = signal.Signals(-failure.exitcode).name if failure.exitcode < 0 else f"exit code {failure.exitcode}"
    hint = " (out of memory?)" if failure.exitcode == -signal.SIGKILL else ""
    return RunError(f"rank {rank} died: {how}{hint}")


def _moment(failure: ProcessFailure) -> float:
    """When a rank failed: a sudden death comes before what others wrote about it, being stopped after all."""
    if told := _told(failure):
        return float(told["time"])
    return float("inf") if failure.exitcode == -signal.SIGTERM else 0.0


def _told(failure: ProcessFailure) -> dict[str, Any]:
    """What the rank wrote about its end; empty where it could not."""
    try:
        found = json.loads(Path(failure.error_file).read_text(encoding="utf-8"))["message"]["extraInfo"]
        return dict(found) if "text" in found else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
