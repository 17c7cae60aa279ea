"""What a config must not make run: checked by its text, before Hydra acts on it and before heavy imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from omegaconf import DictConfig

from llm_lab.config.allowed import REFUSED, TARGET, TargetError, check_name
from llm_lab.config.fault import Fault, Origin
from llm_lab.config.hydra_targets import findings
from llm_lab.config.origins import find
from llm_lab.config.pack_rules import SWEEP_PARAMETERS, pack_faults
from llm_lab.config.walk import Walk
from llm_lab.config.written import config_of, files_of
from llm_lab.errors import ConfigError

HYDRA = "hydra"


def hydra_faults(config: DictConfig, origins: Mapping[str, Origin]) -> list[Fault]:
    """Return every fault of safety in a composed config, Hydra's node among it.

    These are targets of packages that are not allowed, what Hydra would build by itself, and what experiments
    and packs may not set or read.
    """
    parts = [config] if config else [config_of(file, origins) for file in files_of(origins)]
    faults = [fault for part in parts for fault in _of_config(part, origins)]
    return list(dict.fromkeys([*faults, *pack_faults(origins)]))


def _of_config(config: DictConfig, origins: Mapping[str, Origin]) -> Iterator[Fault]:
    """Judge a composed config, or a file of one that could not be composed."""
    yield from _targets(config, origins)
    if HYDRA in config and isinstance(config.hydra, DictConfig):
        for fault in (*findings(config.hydra), *_swept(config.hydra)):
            yield replace(fault, where=place(origins, fault.where))


def _targets(config: DictConfig, origins: Mapping[str, Origin]) -> Iterator[Fault]:
    """Judge by its text whatever our own code would build."""
    for item in Walk(names=(TARGET, *REFUSED), skip=HYDRA).items(config):
        if item.name in REFUSED:
            message = "is not allowed (a config says what is built, not how)"
            yield Fault(key=item.key, message=message, where=place(origins, item.source))
        elif item.name == TARGET:
            for target in item.texts if item.texts or item.interpolated else [item.raw]:
                yield from _judge(target, item.key, place(origins, item.source))


def _judge(target: object, key: str, where: str) -> Iterator[Fault]:
    try:
        check_name(target)
    except TargetError as error:
        yield Fault(key=key, message=error.message, where=where, suggestion=error.suggestion)
    except ConfigError as error:
        yield Fault(key="", message=str(error))


def _swept(hydra: DictConfig) -> Iterator[Fault]:
    """A sweeper's parameters become words of each job, after this check."""
    for item in Walk().items(hydra.get("sweeper"), f"{HYDRA}.sweeper"):
        key = item.key.removeprefix(f"{SWEEP_PARAMETERS}.")
        if key != item.key and key.lstrip("+~").startswith((f"{HYDRA}.", f"{HYDRA}/", f"{HYDRA}@")):
            message = "is not allowed (Hydra's own configuration cannot be swept)"
            yield Fault(key=item.key, message=message, where=item.source)


def place(origins: Mapping[str, Origin], key: str) -> str:
    """Return where a key was written, for a fault; nothing where Hydra itself set it."""
    origin = find(origins, key)
    return "" if origin.scope == HYDRA else str(origin)
