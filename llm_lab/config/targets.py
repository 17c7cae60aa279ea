"""What a `_target_` may name: judged by its text before anything is imported, by the object afterwards."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import sys
import types
import typing
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from llm_lab.config.nearest import did_you_mean, nearest
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
Target = Callable[..., Any]


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
    if len(parts) > 1 and (
        _within(target, ROOMS) or _within(target, LIBRARIES) or _within(target, admitted())
    ):
        return target
    kinds = f"{OURS}, torch.nn, torch.optim, torchmetrics, pytorch_lightning"
    raise TargetError(
        f"{target} is not allowed (targets are of {kinds}; {ALLOW_VARIABLE} admits a package of yours)",
        _proposal(target),
    )


def resolve(target: object, expected: tuple[type, ...]) -> Target:
    """Return the class or function that a target names.

    Functions are of our packages and of those the user admits, from libraries come only classes; a class must
    be a kind of `expected`, and so must what a function says it returns.

    Raises:
        TargetError: the name is not allowed, does not exist, or names something else than its own text says.
    """
    name = check_name(target)
    found = _locate(name)
    if inspect.isclass(found):
        _check_identity(name, found)
        _check_kind(name, (found,), expected)
    elif inspect.isfunction(found) and not _within(name, LIBRARIES):
        _check_identity(name, found)
        _check_kind(name, _returns(found), expected)
    else:
        raise TargetError(f"{name} is not allowed (a {type(found).__name__} is not built from config)")
    return typing.cast("Target", found)


def name_of(target: Target) -> str:
    """Return the dotted name of a class or function, of the place where it is defined."""
    return f"{target.__module__}.{target.__qualname__}"


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
    return tuple(point.value.partition(":")[0] for point in entry_points(group=ALLOW_GROUP))


def _within(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def _locate(name: str) -> Any:
    """Import the longest module in a name, then go down through classes; modules are never gone through."""
    module, rest = _module(name)
    found: Any = module
    for number, part in enumerate(rest):
        if number and not inspect.isclass(found):
            raise TargetError(f"{name} is not allowed (`{rest[number - 1]}` is not a class)")
        try:
            found = getattr(found, part)
        except AttributeError:
            names = [item for item in dir(found) if not item.startswith("_")]
            head = name.removesuffix("." + ".".join(rest[number:]))
            raise TargetError(
                f"{name} does not exist ({head} has no `{part}`)",
                did_you_mean(part, names, form=f"{head}.{{}}") if nearest(part, names) else _proposal(name),
            ) from None
    return found


def _module(name: str) -> tuple[types.ModuleType, list[str]]:
    """Import front to back, each step only where a file of that name stands inside the package before."""
    parts = name.split(".")
    try:
        module = importlib.import_module(parts[0])
        for number in range(1, len(parts) - 1):
            inner = ".".join(parts[: number + 1])
            if not hasattr(module, "__path__") or importlib.util.find_spec(inner) is None:
                return module, parts[number:]
            module = importlib.import_module(inner)
    except Exception as error:  # importing runs a module, which may fail in any way
        raise TargetError(f"{name} cannot be imported ({error})", _proposal(name)) from error
    return module, parts[-1:]


def _check_identity(name: str, found: Any) -> None:
    """Compare where an object is defined with what its name says, so that no alias leads elsewhere."""
    home = name_of(found)
    if home == name or (_within(name, LIBRARIES) and _within(home, LIBRARIES)):
        return
    allowed = _within(home, ROOMS) or _within(home, admitted())
    raise TargetError(f"{name} is not allowed (it is {home})", f"write {home}" if allowed else "")


def _check_kind(name: str, kinds: tuple[type, ...], expected: tuple[type, ...]) -> None:
    for kind in kinds:
        if not issubclass(kind, expected):
            wanted = " or ".join(item.__name__ for item in expected)
            verb = (
                "is" if kind.__qualname__ == name.rpartition(".")[2] else f"gives {kind.__name__}, which is"
            )
            raise TargetError(f"{name} {verb} no kind of {wanted}")


def _returns(function: types.FunctionType) -> tuple[type, ...]:
    """Return the classes that a function says it returns; nothing where it does not say, or cannot now."""
    holder = types.SimpleNamespace(__annotations__={"return": function.__annotations__.get("return", Any)})
    try:
        hint = typing.get_type_hints(holder, globalns=function.__globals__)["return"]
    except NameError:  # imported for type checkers only
        return ()
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = tuple(typing.get_origin(kind) or kind for kind in kinds)
    return tuple(kind for kind in kinds if isinstance(kind, type)) if Any not in kinds else ()


def _proposal(target: str) -> str:
    """Propose the nearest legal target: a misspelt one of ours, or a misspelt package of a library's."""
    last = target.rpartition(".")[2]
    ours = catalogue()
    same = [name for name in ours if name.rpartition(".")[2] == last]
    if found := nearest(target, same or ours, cutoff=0.5 if same else 0.8):
        return f"did you mean `{found}`?"
    head = nearest(target.rpartition(".")[0], [root for root in LIBRARIES if root[-1].islower()], cutoff=0.8)
    return f"did you mean `{head}.{last}`?" if head else ""


@cache
def catalogue() -> tuple[str, ...]:
    """Return the public classes and functions of our rooms, read from their source without importing it."""
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
