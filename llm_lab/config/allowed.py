"""What a `_target_` may name, judged by its text alone, before anything is imported."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

from llm_lab.config.nearest import nearest
from llm_lab.errors import ConfigError

TARGET = "_target_"
REFUSED = ("_args_", "_convert_", "_partial_", "_recursive_")  # Hydra's other words, which say how to build
ALLOW_VARIABLE = "LLM_LAB_ALLOW"  # packages of the user's own: `LLM_LAB_ALLOW=my_package,other`
ALLOW_GROUP = "llm_lab.allow"  # the same as an entry point of an installed package
OURS = "llm_lab"
# Only what a config group chooses from; nothing in YAML may call the rooms that compose, fetch or run.
ROOMS = tuple(
    f"{OURS}.{room}"
    for room in (
        "baselines",
        "callbacks",
        "data",
        "knowledge",
        "models",
        "optim",
        "peft",
        "strategies",
        "tasks",
        "tracking",
    )
)
# Classes of these, never functions: `torch.hub.load`, `torch.load` and their like are functions.
LIBRARIES = (
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks",
    "pytorch_lightning.loggers",
    "pytorch_lightning.plugins",
    "pytorch_lightning.profilers",
    "pytorch_lightning.strategies",
    "pytorch_lightning.trainer.trainer.Trainer",
    "torch.nn",
    "torch.optim",
    "torchmetrics",
)
_NOBODYS = frozenset({OURS, "hydra", "omegaconf", *(name.partition(".")[0] for name in LIBRARIES)})


class TargetError(Exception):
    """Why a name is no legal target, and the nearest one that is."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(f"{message}; {suggestion}" if suggestion else message)
        self.message, self.suggestion = message, suggestion


def check_name(target: object) -> str:
    """Return the target where its text is one that may be looked up; nothing is imported.

    Raises:
        TargetError: it is no dotted name, or of no allowed package.
        ConfigError: `LLM_LAB_ALLOW` itself is wrong.
    """
    if not isinstance(target, str):
        raise TargetError(f"must be the dotted name of a class or a function, not {target!r}")
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts):
        raise TargetError(f"`{target}` is not the dotted name of a class or a function")
    if any(part.startswith("_") for part in parts):
        raise TargetError(f"{target} is not allowed (a name that starts with `_` is private)")
    if len(parts) > 1 and (within(target, ROOMS) or within(target, LIBRARIES) or within(target, admitted())):
        return target
    kinds = f"{OURS}, torch.nn, torch.optim, torchmetrics, pytorch_lightning"
    raise TargetError(
        f"{target} is not allowed (targets are of {kinds}; {ALLOW_VARIABLE} admits a package of yours)",
        proposal(target),
    )


def admitted() -> tuple[str, ...]:
    """Return the packages that the user admits by the environment or an entry point, never by YAML.

    Raises:
        ConfigError: the variable names something that is no package of the user's.
    """
    named = [name.strip() for name in os.environ.get(ALLOW_VARIABLE, "").split(",") if name.strip()]
    for name in named:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ConfigError(f"{ALLOW_VARIABLE}: `{name}` is not the name of a package")
        if (root := name.partition(".")[0]) in sys.stdlib_module_names or root in _NOBODYS:
            raise ConfigError(f"{ALLOW_VARIABLE}: {name} is not a package of yours")
    return (*named, *_installed())


@cache
def _installed() -> tuple[str, ...]:
    from importlib.metadata import entry_points

    return tuple(point.value.partition(":")[0] for point in entry_points(group=ALLOW_GROUP))


def within(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def proposal(target: str) -> str:
    """Propose the nearest legal target: one of ours misspelt or moved, or a library's."""
    first, last = target.partition(".")[0], target.rpartition(".")[2]
    same = [name for name in catalogue() if name.rpartition(".")[2] == last]
    near = nearest(target, same, cutoff=0.6) or (
        nearest(target, catalogue(), cutoff=0.8) if first == OURS else ""
    )
    if near:
        return f"did you mean `{near}`?"
    head = nearest(target.rpartition(".")[0], [root for root in LIBRARIES if root[-1].islower()], cutoff=0.8)
    return f"did you mean `{head}.{last}`?" if head else ""


@cache
def catalogue() -> tuple[str, ...]:
    """Return the public classes and functions of our rooms, read from their source without importing it."""
    import ast

    package = Path(__file__).resolve().parents[1]
    names = []
    for room in ROOMS:
        folder = package / room.partition(".")[2]
        for file in sorted(folder.rglob("*.py")):
            inner = file.relative_to(package.parent).with_suffix("").parts
            module = ".".join(inner[:-1] if inner[-1] == "__init__" else inner)
            tree = ast.parse(file.read_text(encoding="utf-8"))
            kinds = (ast.ClassDef, ast.FunctionDef)
            found = (node.name for node in tree.body if isinstance(node, kinds))
            names += [f"{module}.{name}" for name in found if not name.startswith("_")]
    return tuple(names)
