"""What a pack or an experiment may not do, since it is a file that somebody else wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar_parser import parse

from llm_lab.config import documents
from llm_lab.config.fault import Fault, Origin
from llm_lab.config.search_path import ROOT_CONFIG
from llm_lab.config.written import Written, files_of, written

MAY_SET = ("hydra.run", "hydra.sweep", "hydra.sweeper", "hydra.launcher", "hydra.job.name")
MODE = "hydra.mode"  # that a choice of ours is a sweep by itself
EXPERIMENTS = ("experiment/", "debug/", "size/", "ablate/")
SEARCH_PATH = "hydra.searchpath"
_SEARCH_PATH_MESSAGE = "may be set on the command line only"
SWEEP_PARAMETERS = "hydra.sweeper.params"
LAUNCHER = "hydra.launcher"
# Of a launcher a pack sets sizes and names; the rest runs commands, or joins a cluster of somebody's.
LAUNCHER_KEYS = frozenset(
    {
        "_target_", "account", "array_parallelism", "backend", "batch_size", "comment",
        "constraint", "cpus_per_gpu", "cpus_per_task", "exclude", "gpus_per_node", "gpus_per_task",
        "gres", "init", "max_num_timeout", "mem_gb", "mem_per_cpu", "mem_per_gpu", "n_jobs", "name",
        "nodes", "num_cpus", "num_gpus", "partition", "pre_dispatch", "prefer", "qos", "ray",
        "remote", "signal_delay_s", "stderr_to_stdout", "submitit_folder", "tasks_per_node",
        "timeout", "timeout_min", "verbose",
    }
)  # fmt: skip
# `oc.env` reads the environment; the others make new text or nodes, in which it could stand unseen.
REFUSED_RESOLVERS = ("oc.env", "oc.decode", "oc.create")


def pack_faults(origins: Mapping[str, Origin]) -> Iterator[Fault]:
    """Give what files may not set or read that are not ours, or are experiments."""
    refused = {key: message for key, origin in origins.items() if (message := _refusal(key, origin))}
    for key, message in refused.items():
        if key.rpartition(".")[0] not in refused:
            yield Fault(key=key, message=message, where=str(origins[key]))
    for file in files_of(origins, scope="pack"):
        for item in written(file, origins):
            yield from _text_faults(item)


def searchpath_faults(file: Path | None, root: Path) -> list[Fault]:
    """Return a fault where a root config that is not ours, chosen by `--config-name`, adds search paths."""
    if file is None or file.is_relative_to(root):
        return []
    try:
        document = documents.read(file)
    except documents.DocumentError:
        return []  # which has a fault of its own
    hydra = document.data.get("hydra") if isinstance(document.data, dict) else None
    if not isinstance(hydra, dict) or "searchpath" not in hydra:
        return []
    where = str(Origin(file=file, line=document.lines.get(("hydra", "searchpath"))))
    return [Fault(key=SEARCH_PATH, message=_SEARCH_PATH_MESSAGE, where=where)]


def is_guest(origin: Origin) -> bool:
    """Whether a value comes from an experiment, a pack, the user's `conf/` or a folder added on the way."""
    return origin.scope not in ("ours", "hydra", "word") or origin.config.startswith(EXPERIMENTS)


def _refusal(key: str, origin: Origin) -> str:
    """Return why this file may not set this key of Hydra's, else nothing."""
    if key != "hydra" and not key.startswith("hydra."):
        return ""
    if _below(key, SEARCH_PATH):
        ours = origin.scope in ("word", "hydra") or (origin.scope == "ours" and origin.config == ROOT_CONFIG)
        return "" if ours else _SEARCH_PATH_MESSAGE
    if not is_guest(origin) or (key == MODE and origin.scope == "ours"):
        return ""
    if not any(_below(key, name) or _below(name, key) for name in MAY_SET):
        return f"may not be set here (experiments, packs and your conf/ set only {', '.join(MAY_SET)})"
    if origin.scope == "pack" and _below(key, LAUNCHER):
        names = key.removeprefix(LAUNCHER).split(".")[1:]
        if not LAUNCHER_KEYS.issuperset(names):
            return "may not be set in a pack (it can run commands)"
    return ""


def _text_faults(item: Written) -> Iterator[Fault]:
    for name in sorted(_resolvers(item.text)):
        what = "environment values are" if name == "oc.env" else f"`{name}` is"
        yield Fault(key=item.key, message=f"{what} refused in packs", where=item.where)
    if _below(item.key, SWEEP_PARAMETERS) and "${" in item.text:
        message = "interpolations are refused in the sweeps of packs"
        yield Fault(key=item.key, message=message, where=item.where)
    if _below(item.key, LAUNCHER) and not item.text.isprintable():
        yield Fault(key=item.key, message="must be one line", where=item.where)


def _resolvers(text: str) -> set[str]:
    """The refused resolvers that a text calls; one whose name is itself computed counts as refused."""
    if "${" not in text:
        return set()
    try:
        tree = parse(text)
    except OmegaConfBaseException:
        return set()  # a broken interpolation, which has a fault of its own
    return {name for name in _names(tree) if name in REFUSED_RESOLVERS or "$" in name}


def _names(tree: Any) -> Iterator[str]:
    if type(tree).__name__ == "ResolverNameContext":
        yield tree.getText()
    for child in getattr(tree, "children", None) or ():
        yield from _names(child)


def _below(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}.")
