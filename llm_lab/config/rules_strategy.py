"""Rules across fields that concern several ranks; they import nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llm_lab.config.fault import Fault
from llm_lab.config.hardware import cores
from llm_lab.config.rules import Values, get, number, rule

LOCAL_SGD = "llm_lab.strategies.local_sgd.LocalSGD"
AVERAGES = "llm_lab.callbacks.averaging."
NEEDY = tuple(
    f"llm_lab.strategies.{module}." for module in ("ddp", "local_sgd", "sharded")
)  # DeepSpeed offloads
OUTSIDE = ("WORLD_SIZE", "SLURM_NTASKS")  # who starts the ranks says how many, and where


def local_ranks(values: Values) -> int:
    """Ranks that are asked for on one machine; 0 where only the machine knows."""
    devices = get(values, "trainer.devices")
    if isinstance(devices, list):
        return len(devices)
    if isinstance(devices, str):
        return int(devices) if devices.isdigit() else 0
    return devices if isinstance(devices, int) and devices > 0 else 0


@rule
def devices_can_be_counted(values: Values) -> Iterator[Fault]:
    """Ranks come as a number, as a list of devices, or as all there are."""
    devices = get(values, "trainer.devices")
    everything = devices == -1 or devices in ("-1", "auto")
    if isinstance(devices, int | str | list) and not everything and not local_ranks(values):
        yield Fault(
            key="trainer.devices",
            message=f"`{devices}` does not say how many ranks there are",
            suggestion="a number from 1 on, a list such as [0,1], or auto (or -1) for every device",
        )


def _started_outside() -> bool:
    return any(os.environ.get(name, "1") not in ("", "1") for name in OUTSIDE)


@rule
def ranks_fit_the_machine(values: Values) -> Iterator[Fault]:
    """No more ranks than cores, or than GPUs where these are asked for."""
    ranks, accelerator = local_ranks(values), get(values, "trainer.accelerator")
    if ranks < 2 or get(values, "launch.oversubscribe") is True or _started_outside():  # noqa: PLR2004
        return
    gpus = _gpus()
    there, what = (
        (gpus, "GPUs")
        if accelerator in ("gpu", "cuda") or (accelerator == "auto" and gpus)
        else (cores(), "cores")
    )
    if ranks > there:
        yield Fault(
            key="trainer.devices",
            message=f"{ranks} ranks are more than the {there} {what} of this machine",
            suggestion="launch.oversubscribe=true runs them all the same"
            if what == "cores"
            else f"trainer.devices={there}",
        )


def _gpus() -> int:
    """NVIDIA GPUs by their device files: torch would take seconds to say."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    try:
        return sum(path.name.removeprefix("nvidia").isdigit() for path in Path("/dev").iterdir())
    except OSError:
        return 0


@rule
def strategy_has_ranks(values: Values) -> Iterator[Fault]:
    """A strategy for several ranks needs several."""
    target, nodes = get(values, "strategy._target_"), number(values, "trainer.num_nodes") or 1
    alone = local_ranks(values) * nodes == 1
    if alone and isinstance(target, str) and target.startswith(NEEDY) and not _started_outside():
        yield Fault(
            key="strategy",
            message=f"{target.rpartition('.')[2]} needs several ranks, but trainer.devices is 1",
            suggestion="trainer.devices=2, or strategy=auto",
        )


@rule
def static_graph_as_it_can(values: Values) -> Iterator[Fault]:
    """DDP's static graph neither looks for unused parameters nor accumulates."""
    if get(values, "strategy.static_graph") is not True:
        return
    if get(values, "strategy.find_unused_parameters") is True:
        yield Fault(
            key="strategy.find_unused_parameters",
            message="a static graph is known after its first step: nothing is looked for",
            suggestion="set one of static_graph and find_unused_parameters to false",
        )
    if (number(values, "trainer.accumulate_grad_batches") or 1) > 1:
        yield Fault(
            key="strategy.static_graph",
            message="DDP learns a static graph from the first micro-batch, which accumulation leaves without "
            "synchronisation",
            suggestion="strategy.static_graph=false",
        )


@rule
def averages_of_one_model(values: Values) -> Iterator[Fault]:
    """Ranks that train apart have no weights in common that could be averaged along the run."""
    every = number(values, "strategy.every")
    callbacks: Any = get(values, "callbacks")
    if get(values, "strategy._target_") != LOCAL_SGD or every == 1:
        return
    for name, node in (callbacks if isinstance(callbacks, Mapping) else {}).items():
        if str(get(node, "_target_")).startswith(AVERAGES):
            yield Fault(
                key=f"callbacks.{name}",
                message="each rank would average its own weights while local SGD lets them differ",
                suggestion=f"callbacks.{name}=null, or strategy=ddp",
            )
